import type { AedesPublishPacket, Subscription } from 'aedes'

import { ownPayload } from './own-payload.ts'

/** What a session still owes its client: a message, or the PUBREL of one [MQTT-4.3.3]. */
export type OutgoingPacket = QueuedMessage | OutgoingPubrel

/** A queue's own copy of a message; it has a message id once it was sent. */
type QueuedMessage = Pick<
  AedesPublishPacket,
  | 'cmd'
  | 'brokerId'
  | 'brokerCounter'
  | 'topic'
  | 'payload'
  | 'qos'
  | 'retain'
  | 'dup'
  | 'properties'
  | 'messageExpiry'
> & { messageId: number | undefined }

/** The second half of a QoS 2 delivery. */
export interface OutgoingPubrel {
  readonly cmd: 'pubrel'
  readonly messageId: number
}

/** Names a message, or a packet by the id under which it was sent. */
export interface PacketReference {
  readonly messageId?: number | undefined
  readonly brokerId?: string
  readonly brokerCounter?: number
}

/** What of a subscription decides how a message is delivered to it. */
export type QueueingSubscription = Partial<Pick<Subscription, 'qos' | 'rap'>>

/** A session's messages above QoS 0 that its client has not acknowledged, in order. */
export class OutgoingQueue {
  readonly #packets = new Map<string, OutgoingPacket>()
  readonly #keys = new Map<number, string>()

  /** How many packets wait. */
  get size(): number {
    return this.#packets.size
  }

  /**
   * Appends a message. A client with overlapping subscriptions is owed it once, at the highest QoS
   * of those: a second copy would be left over when the first is acknowledged.
   */
  add(packet: AedesPublishPacket, subscription: QueueingSubscription): void {
    const key = keyOf(packet)
    const copy = copyFor(packet, subscription)
    const present = this.#packets.get(key)
    if (present === undefined) this.#packets.set(key, copy)
    else if (present.cmd === 'publish' && copy.qos > present.qos) present.qos = copy.qos
  }

  /**
   * Notes under which id a message is sent, or that a PUBREL has taken its place. A message that is
   * not in the queue needs no note: it was acknowledged while its second copy was on the way, or it
   * is a retained one, which Aedes sends without storing it.
   */
  update(packet: AedesPublishPacket | OutgoingPubrel): void {
    const { messageId } = packet
    if (messageId === undefined) return
    if (packet.cmd === 'pubrel') {
      // By id alone: a PUBREL carries nothing else. For an unknown id (a retained message) it is
      // kept all the same, since the client remembers the id until it has seen the PUBREL.
      const key = this.#keys.get(messageId) ?? `pubrel ${messageId}`
      this.#packets.set(key, { cmd: 'pubrel', messageId })
      this.#keys.set(messageId, key)
      return
    }
    const key = keyOf(packet)
    const present = this.#packets.get(key)
    if (present?.cmd !== 'publish') return
    present.messageId = messageId
    this.#keys.set(messageId, key)
  }

  /** Removes what was acknowledged, or what is not to be delivered after all; returns it. */
  remove(reference: PacketReference): OutgoingPacket | undefined {
    const { messageId } = reference
    // Aedes withdraws a message that was never sent without an id.
    const key = messageId === undefined ? keyOf(reference) : this.#keys.get(messageId)
    if (key === undefined) return undefined
    const packet = this.#packets.get(key)
    this.#packets.delete(key)
    if (messageId !== undefined) this.#keys.delete(messageId)
    if (packet?.messageId !== undefined) this.#keys.delete(packet.messageId)
    return packet
  }

  /** What waits now, leaving out what is acknowledged before its turn. */
  *pending(): Generator<OutgoingPacket, void, undefined> {
    // A copy, since what is queued from now on is delivered as it comes.
    const waiting = [...this.#packets]
    for (const [key, packet] of waiting) {
      if (this.#packets.get(key) !== packet) continue
      // It has an id, so it was sent before, and this is the client's second chance [MQTT-3.3.1-1].
      if (packet.cmd === 'publish' && packet.messageId !== undefined) packet.dup = true
      yield packet
    }
  }
}

function keyOf({ brokerId, brokerCounter }: PacketReference): string {
  return `${brokerId}:${brokerCounter}`
}

function copyFor(packet: AedesPublishPacket, { qos, rap }: QueueingSubscription): QueuedMessage {
  const copy: QueuedMessage = {
    cmd: 'publish',
    brokerId: packet.brokerId,
    brokerCounter: packet.brokerCounter,
    topic: packet.topic,
    payload: ownPayload(packet.payload),
    // [MQTT-3.8.4-6]
    qos: qos !== undefined && qos < packet.qos ? qos : packet.qos,
    // The flag says "retained" to new subscriptions only, or to who asked for it [MQTT-3.3.1-12].
    retain: rap === true && packet.retain,
    dup: false,
    messageId: undefined,
  }
  // Aedes writes the remaining lifetime into the properties of what it delivers.
  if (packet.properties !== undefined) copy.properties = { ...packet.properties }
  if (packet.messageExpiry !== undefined) copy.messageExpiry = packet.messageExpiry
  return copy
}
