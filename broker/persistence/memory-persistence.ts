import { Readable } from 'node:stream'

import type { AedesPublishPacket, Subscription } from 'aedes'

import { filterOf, isSharedName } from '../fanout/shared-name.ts'
import { createContradiction, type Contradiction } from '../retained/contradiction.ts'
import { Fences, isOvertaken } from '../retained/fences.ts'
import { RetainedIndex } from '../retained/retained-index.ts'
import { versionOf } from '../retained/version.ts'
import { ownPayload } from './own-payload.ts'
import { RetainedStream } from './retained-stream.ts'
import type { SessionClient } from './session-client.ts'
import { SessionPersistence, type SessionPersistenceOptions } from './session-persistence.ts'
import { settle } from './settled.ts'
import { WillStore, type StoredWill } from './will-store.ts'

/** A message that new subscribers get. */
export type RetainedMessage = Pick<
  AedesPublishPacket,
  'cmd' | 'topic' | 'payload' | 'qos' | 'retain' | 'properties' | 'messageExpiry'
> & {
  /** Grows with each message that is retained. */
  readonly order: number
}

/** What decides whether a message may be published. */
export type VersionedMessage = Pick<
  AedesPublishPacket,
  'topic' | 'payload' | 'retain' | 'properties'
>

/** Options of {@link MemoryPersistence}. */
export interface MemoryPersistenceOptions extends SessionPersistenceOptions {
  /** The prefix of the presence topics. @default 'presence' */
  readonly root?: string
  /** The time in milliseconds. @default the system's */
  readonly now?: () => number
}

/**
 * What one Aedes 2 broker remembers: retained messages, sessions and wills, in memory. It keeps the
 * asynchronous contract of aedes-persistence 10, and calls back in the same tick (see `settle`).
 */
export class MemoryPersistence extends SessionPersistence {
  readonly #retained = new RetainedIndex<RetainedMessage>()
  readonly #fences = new Fences()
  readonly #wills = new WillStore()
  readonly #root: string
  readonly #contradicts: Contradiction
  readonly #now: () => number
  #brokerId = ''
  #grants: ReadonlyMap<string, Subscription['qos']> | undefined
  #outside = 0
  #rooms = 0
  #order = 0
  #fenced = 0

  constructor(options: MemoryPersistenceOptions = {}) {
    super(options)
    this.#root = options.root ?? 'presence'
    this.#now = options.now ?? Date.now
    this.#contradicts = createContradiction({
      root: this.#root,
      retained: (topic) => this.#retained.get(topic),
      versionOn: (topic) => this.versionOn(topic),
    })
  }

  /** How many topics outside the presence root have a retained message. */
  get retainedOutside(): number {
    return this.#outside
  }

  /** How many rooms have a retained snapshot. */
  get roomCount(): number {
    return this.#rooms
  }

  /** What is retained on a topic. */
  retainedPayload(topic: string): string | Buffer | undefined {
    return this.#retained.get(topic)?.payload
  }

  /** What is retained on a topic, with all that belongs to it. */
  retainedOn(topic: string): RetainedMessage | undefined {
    return this.#retained.get(topic)
  }

  /** Everything that is retained, but for topics that begin with `$`. */
  allRetained(): Iterable<RetainedMessage> {
    return this.#retained.match('#')
  }

  /** How many messages were not admitted. */
  get fenced(): number {
    return this.#fenced
  }

  /** The highest version that was published on a topic. */
  versionOn(topic: string): number | undefined {
    const retained = this.#retained.get(topic)
    const versions = [retained && versionOf(retained), this.#fences.get(topic, this.#now())]
    const known = versions.filter((version) => version !== undefined)
    return known.length > 0 ? Math.max(...known) : undefined
  }

  /** A topic was cleared at this version. */
  noteCleared(topic: string, version: number): void {
    this.#fences.note(topic, version, this.#now())
  }

  /**
   * Whether a message may be published: not if its topic has had one of a higher version, or if it says the
   * contrary of something newer. To be asked in the turn in which it is published.
   */
  admits(packet: VersionedMessage): boolean {
    const version = versionOf(packet)
    if (version === undefined) return true
    const { topic, payload, retain } = packet
    if (isOvertaken(version, this.versionOn(topic)) || this.#contradicts(topic, payload, version)) {
      this.#fenced++
      return false
    }
    if (!retain || payload.length === 0) this.#fences.note(topic, version, this.#now())
    return true
  }

  /** How many topics have a retained message. */
  get retainedCount(): number {
    return this.#retained.size
  }

  /** Called by the broker before anything else; it insists on an async function. */
  async setup(broker: { readonly id: string }): Promise<void> {
    this.#brokerId = broker.id
  }

  /** Retains a message; one without a payload removes what is retained [MQTT-3.3.1-10]. */
  storeRetained(packet: AedesPublishPacket): Promise<void> {
    return settle(() => {
      const { topic } = packet
      const { size } = this.#retained
      if (packet.payload.length === 0) this.#retained.delete(topic)
      else this.#retained.set(topic, retainedCopy(packet, ++this.#order))
      if (this.#retained.size !== size) this.#count(topic, this.#retained.size - size)
    })
  }

  #count(topic: string, change: number): void {
    const rooms = `${this.#root}/rooms/`
    if (topic.startsWith(rooms)) {
      if (!topic.includes('/', rooms.length)) this.#rooms += change
    } else if (!topic.startsWith(`${this.#root}/`) && !topic.startsWith('$')) {
      this.#outside += change
    }
  }

  /**
   * The next lookup is for a SUBSCRIBE that was granted so. Aedes looks the retained messages up right
   * after it has said what it granted, and does not lower their QoS for filters with wildcards.
   */
  noteGrants(subscriptions: readonly Pick<Subscription, 'topic' | 'qos'>[]): void {
    this.#grants = new Map(subscriptions.map(({ topic, qos }) => [topic, qos]))
    queueMicrotask(() => (this.#grants = undefined))
  }

  /** The retained messages for one filter. */
  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter])
  }

  /** The retained messages for each of several filters; where they overlap, for each its own. */
  createRetainedStreamCombi(filters: readonly string[]): Readable {
    const grants = this.#grants
    if (!grants) return new RetainedStream(matchEach(this.#retained, filters))
    return new RetainedStream(matchGranted(this.#retained, filters, grants, this.#order))
  }

  /** Stores a client's will. */
  putWill(client: SessionClient, will: StoredWill): Promise<void> {
    return settle(() => this.#wills.put(client, will, this.#brokerId))
  }

  /** A client's stored will. */
  getWill(client: SessionClient): Promise<StoredWill | undefined> {
    return settle(() => this.#wills.get(client))
  }

  /** Removes a client's will, unless it is that of a live connection which has taken over. */
  delWill(client: SessionClient): Promise<StoredWill | undefined> {
    return settle(() => this.#wills.delete(client))
  }

  /** The wills that brokers which are not alive any more left behind. */
  streamWill(alive: Readonly<Record<string, unknown>> = {}): Readable {
    return Readable.from(this.#wills.orphans(this.#brokerId, alive))
  }

  /** Forgets the retained messages; can be called twice. */
  destroy(): Promise<void> {
    return settle(() => {
      this.#retained.clear()
      this.#fences.clear()
      this.#outside = 0
      this.#rooms = 0
    })
  }
}

function retainedCopy(packet: AedesPublishPacket, order: number): RetainedMessage {
  const { topic, qos, properties, messageExpiry } = packet
  const message: RetainedMessage = {
    cmd: 'publish',
    topic,
    payload: ownPayload(packet.payload),
    qos,
    retain: true,
    order,
  }
  if (properties !== undefined) message.properties = properties
  // Aedes drops what has expired when somebody asks for it [MQTT-3.3.2-5].
  if (messageExpiry !== undefined) message.messageExpiry = messageExpiry
  return message
}

/** What of a name finds retained messages: a shared one finds none (4.8.2). */
function retainedBy(name: string): string {
  return isSharedName(name) ? name : filterOf(name)
}

function* matchEach(
  retained: RetainedIndex<RetainedMessage>,
  filters: readonly string[],
): Generator<RetainedMessage | undefined> {
  for (const filter of filters) yield* retained.search(retainedBy(filter))
}

/**
 * What subscriptions get that are there already: no message at a higher QoS than was granted, and none
 * that has come since, which they have got live.
 */
function* matchGranted(
  retained: RetainedIndex<RetainedMessage>,
  filters: readonly string[],
  grants: ReadonlyMap<string, Subscription['qos']>,
  newest: number,
): Generator<RetainedMessage | undefined> {
  for (const filter of filters) {
    const granted = grants.get(filter) ?? 2
    for (const message of retained.search(retainedBy(filter))) {
      if (message === undefined) yield undefined
      else if (message.order > newest) continue
      else yield message.qos > granted ? { ...message, qos: granted } : message
    }
  }
}
