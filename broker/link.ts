import type { Readable } from 'node:stream'
import type { Aedes, AedesPublishPacket, PublishPacket } from 'aedes'
import type { Topics } from '../protocol/index.ts'
import type { VersionedMessage } from './persistence/memory-persistence.ts'
import { setVersion } from './retained/version.ts'

/** A message as it arrives. */
export interface BrokerLinkMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: boolean
}

/** What a bridge wants to be told by its link. */
export interface BrokerLinkHandlers {
  onMessage(message: BrokerLinkMessage): Promise<void>
  onUp(resumed: boolean): Promise<void>
  onDown(): void
}

/** How a message is published. */
interface BrokerLinkPublishOptions {
  readonly retain: boolean
  /** The version of what it tells: readers do not get it after a higher one. */
  readonly version?: number
}

/** A way to this broker without a socket, for a bridge in the same process. */
export interface BrokerLink {
  /** There is nothing between it and the broker. */
  readonly isLocal: true
  readRetained(filters: readonly string[]): Promise<readonly BrokerLinkMessage[]>
  open(filters: readonly string[], handlers: BrokerLinkHandlers): Promise<void>
  publish(topic: string, payload: string, options: BrokerLinkPublishOptions): Promise<void>
  close(): Promise<void>
}

/** What the link needs of the broker's memory. */
export interface LinkMemory {
  /** What is retained. */
  createRetainedStreamCombi(filters: readonly string[]): Readable
  /** Whether a message may be published now: not after a newer one. */
  admits(packet: VersionedMessage): boolean
}

/** What a bridge in a broker that is one of several leaves to the bridges in the others. */
export interface LinkScope {
  /** Whether a message is about another broker's connections. */
  isOthers(packet: AedesPublishPacket): boolean
  /** Takes what is published on a topic in the place of the readers. */
  intercept(topic: string, payload: string): boolean
}

/** A bridge in the process of a broker cares for its connections: every other broker has a bridge too. */
export function createOwnScope(
  broker: string,
  topics: Topics,
  answerRollCall: (payload: string) => void,
): LinkScope {
  const documents = `${topics.root}/connections/`
  return {
    isOthers: ({ topic, brokerId }) => brokerId !== broker && topic.startsWith(documents),
    intercept(topic, payload) {
      if (topic !== topics.rollcall) return false
      answerRollCall(payload)
      return true
    },
  }
}

type Listener = (packet: AedesPublishPacket, done: () => void) => void

/**
 * Creates a link; it is up as long as the broker is.
 *
 * @param open where it is while it is open
 */
export function createLink(
  aedes: Aedes,
  persistence: LinkMemory,
  onError: (error: unknown) => void,
  open: Set<BrokerLink>,
  scope?: LinkScope,
): BrokerLink {
  const subscribed: { readonly filter: string; readonly listener: Listener }[] = []

  const link: BrokerLink = {
    isLocal: true,
    async readRetained(filters) {
      const messages: BrokerLinkMessage[] = []
      for await (const packet of persistence.createRetainedStreamCombi(filters)) {
        messages.push(toMessage(packet as AedesPublishPacket))
      }
      return messages
    },
    async open(filters, handlers) {
      open.add(link)
      await handlers.onUp(false)
      for (const filter of filters) {
        const listener: Listener = (packet, done) => {
          if (!scope?.isOthers(packet)) handlers.onMessage(toMessage(packet)).catch(onError)
          done()
        }
        subscribed.push({ filter, listener })
        aedes.subscribe(filter, listener, () => {})
      }
    },
    publish: (topic, payload, { retain, version }) =>
      new Promise((resolve, reject) => {
        if (scope?.intercept(topic, payload)) return resolve()
        const packet: PublishPacket = { cmd: 'publish', topic, payload, retain, qos: 1, dup: false }
        if (version !== undefined) setVersion(packet, version)
        if (!persistence.admits(packet)) return resolve()
        aedes.publish(packet, (error) => (error ? reject(error) : resolve()))
      }),
    async close() {
      open.delete(link)
      for (const { filter, listener } of subscribed.splice(0)) {
        aedes.unsubscribe(filter, listener, () => {})
      }
    },
  }
  return link
}

function toMessage({ topic, payload, retain }: AedesPublishPacket): BrokerLinkMessage {
  return { topic, payload: Buffer.from(payload), retain }
}
