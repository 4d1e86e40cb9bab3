import { Readable } from 'node:stream'

import type { AedesPublishPacket, Subscription } from 'aedes'

import { createFilterIndex, type FilterIndex } from '../fanout/filter-index.ts'
import { filterOf, isSharedName } from '../fanout/shared-name.ts'
import { IncomingIds } from './incoming-ids.ts'
import {
  OutgoingQueue,
  type OutgoingPacket,
  type OutgoingPubrel,
  type PacketReference,
  type QueueingSubscription,
} from './outgoing-queue.ts'
import { ownPayload } from './own-payload.ts'
import type { SessionClient } from './session-client.ts'
import { settle } from './settled.ts'

/** One filter of one session. */
export interface SessionSubscription {
  readonly clientId: string
  readonly topic: string
  readonly qos: Subscription['qos']
  readonly rh: number | undefined
  readonly rap: boolean | undefined
  readonly nl: boolean | undefined
  readonly subscriptionIdentifier?: number
}

/**
 * What has changed in a session that outlives its connection: `k` the session itself, `s:` with a filter,
 * `q:` with the key of a message, `i:` with the id of a QoS 2 message that came.
 */
export type SessionField = 'k' | `s:${string}` | `q:${string}` | `i:${number}`

/** Is told what changes in the sessions that outlive their connection. */
export interface SessionWatcher {
  changed(clientId: string, field: SessionField): void
  /** The session has ended. */
  wiped(clientId: string): void
}

/** A session, as it moves from one broker to another. */
export interface SessionContent {
  readonly subscriptions: readonly SessionSubscription[]
  /** By key, in order. */
  readonly queue: readonly (readonly [string, OutgoingPacket])[]
  readonly incoming: readonly number[]
}

/** Options of {@link SessionPersistence}. */
export interface SessionPersistenceOptions {
  /** How many messages may wait for one session, of which the oldest goes first. @default any number */
  readonly maxQueued?: number
  /** Whether somebody else than Aedes sends what is queued, see {@link SessionPersistence.queueOf}. @default false */
  readonly isSentByFanout?: boolean
}

/** The part of the store that is about sessions: subscriptions, and messages above QoS 0. */
export class SessionPersistence {
  readonly #subscriptions = new Map<string, Map<string, SessionSubscription>>()
  readonly #index = createFilterIndex<SessionSubscription>()
  /** Those that are shared, by what they match. */
  readonly #shared = createFilterIndex<SessionSubscription>()
  /** The same by name. */
  readonly #sharing = new Map<string, Set<SessionSubscription>>()
  readonly #outgoing = new Map<string, OutgoingQueue>()
  readonly #incoming = new IncomingIds()
  /** The sessions that outlive their connection, with or without subscriptions. */
  readonly #kept = new Set<string>()
  readonly #maxQueued: number
  readonly #isSentByFanout: boolean
  #overflowed = 0
  #watcher: SessionWatcher | undefined

  constructor({ maxQueued = Infinity, isSentByFanout = false }: SessionPersistenceOptions = {}) {
    this.#maxQueued = maxQueued
    this.#isSentByFanout = isSentByFanout
  }

  /** Tells from now on what changes. */
  watch(watcher: SessionWatcher): void {
    this.#watcher = watcher
  }

  #changed(clientId: string, field: SessionField): void {
    if (this.#watcher && this.#kept.has(clientId)) this.#watcher.changed(clientId, field)
  }

  /** Notes that there is a session, which will outlive its connection. */
  keepSession(clientId: string): void {
    if (this.#kept.has(clientId)) return
    this.#kept.add(clientId)
    this.#changed(clientId, 'k')
  }

  /** The sessions that outlive their connection. */
  sessions(): Iterable<string> {
    return this.#kept
  }

  /** The shared subscriptions of sessions. */
  sharedNames(): Iterable<string> {
    return this.#sharing.keys()
  }

  /** Everything there is of a session. */
  *fieldsOf(clientId: string): Generator<SessionField> {
    yield 'k'
    for (const filter of this.#subscriptions.get(clientId)?.keys() ?? []) yield `s:${filter}`
    for (const key of this.#outgoing.get(clientId)?.keys() ?? []) yield `q:${key}`
    for (const messageId of this.#incoming.ofSession(clientId)) yield `i:${messageId}`
  }

  /** One subscription of a session. */
  subscriptionOf(clientId: string, filter: string): SessionSubscription | undefined {
    return this.#subscriptions.get(clientId)?.get(filter)
  }

  /** Whether a session has a QoS 2 message open. */
  hasIncoming(clientId: string, messageId: number): boolean {
    return this.#incoming.has({ id: clientId }, messageId)
  }

  /** Takes over a session from another broker. */
  restoreSession(clientId: string, { subscriptions, queue, incoming }: SessionContent): void {
    this.keepSession(clientId)
    void this.addSubscriptions({ id: clientId }, subscriptions as readonly Subscription[])
    for (const [key, packet] of queue) this.#queue(clientId).restore(key, packet)
    for (const messageId of incoming) this.#incoming.add({ id: clientId }, messageId)
  }

  /** Forgets a session that another broker has taken over. */
  dropSession(clientId: string): void {
    this.#kept.delete(clientId)
    void this.cleanSubscriptions({ id: clientId })
  }

  /** Whether there is a session to be resumed. */
  hasSession(clientId: string): boolean {
    return this.#kept.has(clientId)
  }

  /** The messages above QoS 0 of a session; undefined when there is none. */
  queueOf(clientId: string): OutgoingQueue | undefined {
    return this.#kept.has(clientId) ? this.#queue(clientId) : this.#outgoing.get(clientId)
  }

  #queue(clientId: string): OutgoingQueue {
    return getOrCreate(
      this.#outgoing,
      clientId,
      () =>
        new OutgoingQueue(
          this.#maxQueued,
          () => this.#overflowed++,
          (key) => this.#changed(clientId, `q:${key}`),
        ),
    )
  }

  /** How many QoS 2 messages of a client are not released yet. */
  openIncoming(client: SessionClient): number {
    return this.#incoming.count(client)
  }

  /** How many messages went because too many waited for a session. */
  get overflowed(): number {
    return this.#overflowed
  }

  /**
   * Adds to a session's subscriptions. For each filter of a SUBSCRIBE that is granted Aedes passes
   * all of them; those that bear a failure code in the place of their QoS were refused.
   */
  addSubscriptions(client: SessionClient, added: readonly Subscription[]): Promise<void> {
    return settle(() => {
      const stored = getOrCreate(this.#subscriptions, client.id, () => new Map())
      for (const subscription of added) {
        if (subscription.qos > 2) continue
        const own = subscriptionOf(client.id, subscription)
        const before = stored.get(own.topic)
        // All of them, for each of them: what is there already must cost next to nothing.
        if (before && isSame(before, own)) continue
        this.#unindex(before)
        stored.set(own.topic, own)
        // Messages are stored for who asked for them above QoS 0.
        if (own.qos > 0) this.#addToIndex(own)
        this.#changed(client.id, `s:${own.topic}`)
      }
    })
  }

  /** Removes filters from a session's subscriptions. */
  removeSubscriptions(client: SessionClient, filters: readonly string[]): Promise<void> {
    return settle(() => {
      const stored = this.#subscriptions.get(client.id)
      for (const filter of filters) {
        this.#unindex(stored?.get(filter))
        if (stored?.delete(filter)) this.#changed(client.id, `s:${filter}`)
      }
      if (stored?.size === 0) this.#subscriptions.delete(client.id)
    })
  }

  /** A session's subscriptions, which are restored when its client connects again. */
  subscriptionsByClient(client: SessionClient): Promise<Omit<SessionSubscription, 'clientId'>[]> {
    return settle(() => {
      const stored = this.#subscriptions.get(client.id)?.values() ?? []
      return Array.from(stored, ({ clientId: _clientId, ...subscription }) => subscription)
    })
  }

  /** The subscriptions above QoS 0 to which a topic's messages belong, at once. */
  subscribedTo(topic: string): SessionSubscription[] {
    return this.#index.match(topic).flatMap((matching) => [...matching])
  }

  /** The same, for Aedes. */
  subscriptionsByTopic(topic: string): Promise<SessionSubscription[]> {
    return settle(() => this.subscribedTo(topic))
  }

  /**
   * Ends a session: Aedes asks for it at a clean start and when a session expires. Not only the
   * subscriptions go, as the name says: what is queued belongs to the old session [MQTT-3.1.2-4].
   */
  cleanSubscriptions(client: SessionClient): Promise<void> {
    return settle(() => {
      for (const subscription of this.#subscriptions.get(client.id)?.values() ?? []) {
        this.#unindex(subscription)
      }
      this.#subscriptions.delete(client.id)
      this.#outgoing.delete(client.id)
      if (this.#kept.delete(client.id)) this.#watcher?.wiped(client.id)
      this.#incoming.deleteAll(client)
    })
  }

  /** How many subscriptions above QoS 0 there are, and how many sessions with any. */
  countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return settle(() => {
      let subsCount = 0
      for (const stored of this.#subscriptions.values()) {
        for (const { qos } of stored.values()) if (qos > 0) subsCount++
      }
      return { subsCount, clientsCount: this.#subscriptions.size }
    })
  }

  /** The ids of the sessions that have exactly this filter. */
  getClientList(filter: string): Readable {
    const clients: string[] = []
    for (const [clientId, stored] of this.#subscriptions) {
      if (stored.has(filter)) clients.push(clientId)
    }
    return Readable.from(clients)
  }

  /** Queues a message for one session. */
  outgoingEnqueue(
    subscription: QueueingSubscription & { readonly clientId: string },
    packet: AedesPublishPacket,
  ): Promise<void> {
    return this.outgoingEnqueueCombi([subscription], packet)
  }

  /** Queues a message for several sessions. */
  outgoingEnqueueCombi(
    subscriptions: readonly (QueueingSubscription & { readonly clientId: string })[],
    packet: AedesPublishPacket,
  ): Promise<void> {
    return settle(() => this.enqueue(subscriptions, packet))
  }

  /** Queues a message for several sessions, at once. */
  enqueue(
    subscriptions: readonly (QueueingSubscription & { readonly clientId: string })[],
    packet: AedesPublishPacket,
  ): void {
    if (subscriptions.length === 0) return
    const shared = { ...packet, payload: ownPayload(packet.payload) }
    for (const subscription of subscriptions) {
      this.#queue(subscription.clientId).add(shared, subscription)
    }
  }

  /**
   * Queues a message for one session of each shared subscription that it matches and of which no member was
   * there (4.8.2): for the one that has least to do when it is back.
   */
  keepForAbsent(
    packet: AedesPublishPacket,
    served: ReadonlySet<string>,
    serves: (name: string) => boolean = () => true,
  ): void {
    const chosen = new Map<string, SessionSubscription>()
    for (const matching of this.#shared.match(packet.topic)) {
      for (const member of matching) {
        const other = chosen.get(member.topic)
        const isBetter = !other || this.#waiting(member) < this.#waiting(other)
        if (isBetter && !served.has(member.topic)) chosen.set(member.topic, member)
      }
    }
    for (const [group, member] of chosen) {
      if (!serves(group)) continue
      // Beside a copy that its other subscriptions may have for it.
      void this.outgoingEnqueue(member, { ...packet, brokerId: `${packet.brokerId}${group}` })
    }
  }

  #waiting({ clientId }: SessionSubscription): number {
    return this.#outgoing.get(clientId)?.size ?? 0
  }

  /** Notes the id under which a message is sent, or the PUBREL that follows it. */
  outgoingUpdate(
    client: SessionClient,
    packet: AedesPublishPacket | OutgoingPubrel,
  ): Promise<void> {
    return settle(() => this.#outgoing.get(client.id)?.update(packet))
  }

  /** Takes what was acknowledged out of a session's queue. */
  outgoingClearMessageId(
    client: SessionClient,
    packet: PacketReference,
  ): Promise<OutgoingPacket | undefined> {
    return settle(() => {
      const queue = this.#outgoing.get(client.id)
      const removed = queue?.remove(packet)
      // While its client is there the queue is in use.
      if (queue?.size === 0 && !queue.isLive) this.#outgoing.delete(client.id)
      return removed
    })
  }

  /** What a session owes its client, in order; nothing when somebody else sends it. */
  outgoingStream(client: SessionClient): Readable {
    if (this.#isSentByFanout) return Readable.from([])
    return Readable.from(this.#outgoing.get(client.id)?.pending() ?? [])
  }

  /** Notes that a QoS 2 message has arrived. */
  incomingStorePacket(client: SessionClient, packet: { messageId: number }): Promise<void> {
    return settle(() => {
      this.#incoming.add(client, packet.messageId)
      this.#changed(client.id, `i:${packet.messageId}`)
    })
  }

  /** Resolves when a QoS 2 message has arrived before; rejects when it is new. */
  incomingGetPacket(
    client: SessionClient,
    { messageId }: { messageId: number },
  ): Promise<{ messageId: number }> {
    return settle(() => {
      if (!this.#incoming.has(client, messageId)) throw new Error('no such packet')
      return { messageId }
    })
  }

  /** Notes that a QoS 2 message was released: the next one with its id is new. */
  incomingDelPacket(client: SessionClient, packet: { messageId: number }): Promise<void> {
    return settle(() => {
      this.#incoming.delete(client, packet.messageId)
      this.#changed(client.id, `i:${packet.messageId}`)
    })
  }

  #addToIndex(subscription: SessionSubscription): void {
    const { topic } = subscription
    this.#indexOf(subscription).add(filterOf(topic), subscription)
    if (isSharedName(topic)) {
      getOrCreate(this.#sharing, topic, () => new Set<SessionSubscription>()).add(subscription)
    }
  }

  #unindex(subscription: SessionSubscription | undefined): void {
    if (subscription === undefined) return
    const sharing = this.#sharing.get(subscription.topic)
    if (sharing?.delete(subscription) && sharing.size === 0) {
      this.#sharing.delete(subscription.topic)
    }
    this.#indexOf(subscription).remove(filterOf(subscription.topic), subscription)
  }

  #indexOf({ topic }: SessionSubscription): FilterIndex<SessionSubscription> {
    return isSharedName(topic) ? this.#shared : this.#index
  }
}

function subscriptionOf(clientId: string, from: Subscription): SessionSubscription {
  const { topic, qos, rh, rap, nl } = from
  // Aedes puts the Subscription Identifier here; its types do not say so.
  const { subscriptionIdentifier } = from as { subscriptionIdentifier?: number }
  const subscription = { clientId, topic, qos, rh, rap, nl }
  return subscriptionIdentifier === undefined
    ? subscription
    : { ...subscription, subscriptionIdentifier }
}

function isSame(one: SessionSubscription, other: SessionSubscription): boolean {
  return (
    one.qos === other.qos &&
    one.rh === other.rh &&
    one.rap === other.rap &&
    one.nl === other.nl &&
    one.subscriptionIdentifier === other.subscriptionIdentifier
  )
}

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = create()))
  return value
}
