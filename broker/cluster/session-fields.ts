import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import type { OutgoingPacket, QueuedMessage } from '../persistence/outgoing-queue.ts'
import type {
  SessionContent,
  SessionField,
  SessionSubscription,
} from '../persistence/session-persistence.ts'
import { decodeMessage, encodeMessage } from './entries.ts'

/** What of a waiting message does not fit into a published one. */
interface QueueHead {
  /** Its place in the queue. */
  readonly order: number
  readonly broker: string
  readonly messageId?: number | undefined
  readonly identifiers: readonly number[]
  readonly dup: boolean
  /** A PUBREL waits in the place of its message. */
  readonly pubrel?: number
}

/** Encodes a field of a session as it is now; undefined when it is not there any more. */
export function encodeField(
  store: MemoryPersistence,
  clientId: string,
  field: SessionField,
  order: number,
): Buffer | undefined {
  const name = field.slice(2)
  switch (field[0]) {
    case 's':
      return encodeSubscription(store.subscriptionOf(clientId, name))
    case 'q': {
      const packet = store.queueOf(clientId)?.get(name)
      return packet && encodeQueued(packet, order)
    }
    case 'i':
      return store.hasIncoming(clientId, Number(name)) ? Buffer.from('1') : undefined
    default:
      return store.hasSession(clientId) ? Buffer.from('1') : undefined
  }
}

/** Encodes the field of a subscription. */
export function encodeSubscription(
  subscription: SessionSubscription | undefined,
): Buffer | undefined {
  return subscription && Buffer.from(JSON.stringify(subscription))
}

function encodeQueued(packet: OutgoingPacket, order: number): Buffer {
  if (packet.cmd === 'pubrel') {
    const head: QueueHead = {
      order,
      broker: '',
      identifiers: [],
      dup: false,
      pubrel: packet.messageId,
    }
    return Buffer.from(`${JSON.stringify(head)}\n\n`)
  }
  const { messageId, identifiers, dup, brokerId } = packet
  const head: QueueHead = { order, broker: brokerId, messageId, identifiers, dup }
  const encoded = encodeMessage(packet)
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n${encoded.head}\n`), encoded.message])
}

function decodeQueued(value: Buffer): { readonly order: number; readonly packet: OutgoingPacket } {
  const first = value.indexOf(10)
  const second = value.indexOf(10, first + 1)
  const head = JSON.parse(value.toString('utf8', 0, first)) as QueueHead
  const { order, broker, messageId, identifiers, dup, pubrel } = head
  if (pubrel !== undefined) return { order, packet: { cmd: 'pubrel', messageId: pubrel } }
  const published = decodeMessage(
    broker,
    value.toString('utf8', first + 1, second),
    value.subarray(second + 1),
  )
  const packet = { ...published, messageId, identifiers, dup } as QueuedMessage
  return { order, packet }
}

/** Reads the hash of a session: fields and values in turn. Undefined when there is none. */
export function decodeSession(fields: readonly Buffer[]): SessionContent | undefined {
  const subscriptions: SessionSubscription[] = []
  const queue: { key: string; order: number; packet: OutgoingPacket }[] = []
  const incoming: number[] = []
  let isThere = false
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [field, value] = [String(fields[i]), fields[i + 1]]
    const name = field.slice(2)
    if (!value) continue
    if (field[0] === 'k') isThere = true
    else if (field[0] === 'o') continue
    else if (field[0] === 'i') incoming.push(Number(name))
    else if (field[0] === 'q') queue.push({ key: name, ...decodeQueued(value) })
    else subscriptions.push(JSON.parse(String(value)) as SessionSubscription)
  }
  if (!isThere) return undefined
  queue.sort((one, other) => one.order - other.order)
  return { subscriptions, incoming, queue: queue.map(({ key, packet }) => [key, packet] as const) }
}
