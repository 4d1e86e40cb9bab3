import type { AedesPublishPacket, Subscription } from 'aedes'

import { ownPayload } from './own-payload.ts'
import { putInPlace } from './put-in-place.ts'

/** What a session still owes its client: a message, or the PUBREL of one [MQTT-4.3.3]. */
export type OutgoingPacket = QueuedMessage | OutgoingPubrel

/** A queue's own copy of a message; it has a message id once it was sent. */
export type QueuedMessage = Pick<
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
> & {
  messageId: number | undefined
  /** Version 5: of the subscriptions for which it is queued. */
  identifiers: readonly number[]
}

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
export interface QueueingSubscription {
  readonly qos?: Subscription['qos'] | undefined
  readonly rap?: boolean | undefined
  readonly subscriptionIdentifier?: number
}

/** How a message is to be delivered after all. */
export interface Terms {
  readonly qos: QueuedMessage['qos']
  readonly retain: boolean
  readonly identifiers: readonly number[]
}

/**
 * A session's messages above QoS 0 that its client has not acknowledged, in order.
 *
 * Aedes stores a message before it emits it, and what it emits may wait for its turn: while the client is
 * connected, a message is held until the fan-out releases it. Sent as soon as it is stored, it could be
 * acknowledged and forgotten by the time it is emitted, and be sent again.
 */
export class OutgoingQueue {
  readonly #packets = new Map<string, OutgoingPacket>()
  readonly #keys = new Map<number, string>()
  /** What is to be sent now, in order. */
  readonly #ready = new Set<string>()
  /** What waits for its release, while the client is connected. */
  readonly #held = new Set<string>()
  readonly #maxQueued: number
  readonly #onDropped: () => void
  readonly #onChanged: (key: string) => void
  #owner: object | undefined
  #lastId = 0

  /**
   * @param maxQueued how many messages may wait; the oldest goes first, and `onDropped` is called
   * @param onChanged called with the key of what came, went, or was sent
   */
  constructor(
    maxQueued: number = Infinity,
    onDropped: () => void = () => {},
    onChanged: (key: string) => void = () => {},
  ) {
    this.#maxQueued = maxQueued
    this.#onDropped = onDropped
    this.#onChanged = onChanged
  }

  /** What waits under a key. */
  get(key: string): OutgoingPacket | undefined {
    return this.#packets.get(key)
  }

  /** The keys of what waits, in order. */
  keys(): Iterable<string> {
    return this.#packets.keys()
  }

  /** Puts back what waited elsewhere, behind what is there; nothing when it is there already. */
  restore(key: string, packet: OutgoingPacket): void {
    if (this.#packets.has(key)) return
    this.#packets.set(key, packet)
    if (packet.messageId !== undefined) this.#keys.set(packet.messageId, key)
    this.#onChanged(key)
    this.#trim()
  }

  /** Puts what came late into its place, see {@link putInPlace}. */
  arrange(inOrder: readonly string[], early: ReadonlySet<string>): void {
    const arranged = putInPlace([...this.#packets.keys()], inOrder, early)
    const packets = new Map(this.#packets)
    this.#packets.clear()
    for (const key of arranged) {
      const packet = packets.get(key)
      if (packet) this.#packets.set(key, packet)
    }
  }

  /** How many packets wait. */
  get size(): number {
    return this.#packets.size
  }

  /** The last id under which something was sent; 0 before. */
  get lastId(): number {
    return this.#lastId
  }

  /** Whether somebody sends what is released. */
  get isLive(): boolean {
    return this.#owner !== undefined
  }

  /** Whether anything is to be sent now. */
  get isReady(): boolean {
    return this.#ready.size > 0
  }

  /** Whether something was sent under this id and is not acknowledged. */
  hasId(messageId: number): boolean {
    return this.#keys.has(messageId)
  }

  /** A connection is there: everything is sent again that is not acknowledged, in order [MQTT-4.4.0-1]. */
  open(owner: object): void {
    this.#owner = owner
    this.#held.clear()
    this.#ready.clear()
    for (const [key, packet] of this.#packets) {
      this.#ready.add(key)
      // It has an id, so it was sent before, and this is the client's second chance [MQTT-3.3.1-1].
      if (packet.cmd === 'publish' && packet.messageId !== undefined) packet.dup = true
    }
  }

  /** The connection has gone: what comes from now on waits for the next one, unless that has opened it already. */
  close(owner: object): void {
    if (this.#owner !== owner) return
    this.#owner = undefined
    this.#held.clear()
    this.#ready.clear()
  }

  /**
   * Appends a message. A client with overlapping subscriptions is owed it once, at the highest QoS
   * of those: a second copy would be left over when the first is acknowledged.
   */
  add(packet: AedesPublishPacket, subscription: QueueingSubscription): void {
    const key = keyOf(packet)
    const copy = copyFor(packet, subscription)
    const present = this.#packets.get(key)
    if (present === undefined) {
      this.#packets.set(key, copy)
      if (this.isLive) this.#held.add(key)
    } else if (present.cmd === 'publish') {
      if (copy.qos > present.qos) present.qos = copy.qos
      present.retain ||= copy.retain
      present.identifiers = [...present.identifiers, ...copy.identifiers]
    }
    this.#onChanged(key)
    this.#trim()
  }

  /** A message is to be sent now, on these terms. False when it is not, or no longer, in the queue. */
  release(reference: PacketReference, { qos, retain, identifiers }: Terms): boolean {
    const key = keyOf(reference)
    const packet = this.#packets.get(key)
    if (packet === undefined) return false
    if (this.#held.delete(key) && packet.cmd === 'publish') {
      Object.assign(packet, { qos, retain, identifiers })
      this.#ready.add(key)
      this.#trim()
    }
    return true
  }

  /** Takes what is to be sent next; it stays in the queue until it is removed. */
  next(): OutgoingPacket | undefined {
    for (const key of this.#ready) {
      this.#ready.delete(key)
      const packet = this.#packets.get(key)
      if (packet) return packet
    }
    return undefined
  }

  /**
   * Notes under which id a message is sent, or that a PUBREL has taken its place. Neither is noted for
   * what is not in the queue: it was acknowledged before, or was never sent.
   */
  update(packet: PacketReference & { readonly cmd: AedesPublishPacket['cmd'] | 'pubrel' }): void {
    const { messageId } = packet
    if (messageId === undefined) return
    if (packet.cmd === 'pubrel') {
      // By id alone: a PUBREL carries nothing else.
      const key = this.#keys.get(messageId)
      if (key === undefined) return
      this.#packets.set(key, { cmd: 'pubrel', messageId })
      this.#onChanged(key)
      return
    }
    const key = keyOf(packet)
    const present = this.#packets.get(key)
    if (present?.cmd !== 'publish') return
    if (present.messageId === undefined) this.#lastId = messageId
    present.messageId = messageId
    this.#keys.set(messageId, key)
    this.#onChanged(key)
  }

  /** Removes what was acknowledged, or what is not to be delivered after all; returns it. */
  remove(reference: PacketReference): OutgoingPacket | undefined {
    const { messageId } = reference
    // Aedes withdraws a message that was never sent without an id.
    const key = messageId === undefined ? keyOf(reference) : this.#keys.get(messageId)
    if (key === undefined) return undefined
    const packet = this.#packets.get(key)
    this.#forget(key, packet)
    if (messageId !== undefined) this.#keys.delete(messageId)
    return packet
  }

  /** What waits now, leaving out what is acknowledged before its turn. */
  *pending(): Generator<OutgoingPacket, void, undefined> {
    // A copy, since what is queued from now on is delivered as it comes.
    const waiting = [...this.#packets]
    for (const [key, packet] of waiting) {
      if (this.#packets.get(key) !== packet) continue
      if (packet.cmd === 'publish' && packet.messageId !== undefined) packet.dup = true
      yield packet
    }
  }

  #trim(): void {
    // What is held is not yet too much: it was stored in one go, and is sent in one.
    while (this.#packets.size - this.#held.size > this.#maxQueued && this.#dropOldest()) {
      this.#onDropped()
    }
  }

  /** Drops the oldest message; not a PUBREL, for which the other side waits. Returns whether there was one. */
  #dropOldest(): boolean {
    for (const [key, packet] of this.#packets) {
      if (packet.cmd !== 'publish' || this.#held.has(key)) continue
      this.#forget(key, packet)
      return true
    }
    return false
  }

  #forget(key: string, packet: OutgoingPacket | undefined): void {
    this.#packets.delete(key)
    this.#ready.delete(key)
    this.#held.delete(key)
    if (packet?.messageId !== undefined) this.#keys.delete(packet.messageId)
    this.#onChanged(key)
  }
}

/** The name of a message among all brokers. */
export function keyOf({ brokerId, brokerCounter }: PacketReference): string {
  return `${brokerId}:${brokerCounter}`
}

function copyFor(
  packet: AedesPublishPacket,
  { qos, rap, subscriptionIdentifier }: QueueingSubscription,
): QueuedMessage {
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
    identifiers: subscriptionIdentifier === undefined ? [] : [subscriptionIdentifier],
  }
  // Aedes writes the remaining lifetime into the properties of what it delivers.
  if (packet.properties !== undefined) copy.properties = { ...packet.properties }
  if (packet.messageExpiry !== undefined) copy.messageExpiry = packet.messageExpiry
  return copy
}
