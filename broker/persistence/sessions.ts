import type { AedesPublishPacket, Subscription } from 'aedes'

import { IncomingIds } from './incoming-ids.ts'
import type { OutgoingPacket, OutgoingQueue } from './outgoing-queue.ts'
import type { SessionClient } from './session-client.ts'
import { SessionQueues, type SessionRecipient } from './session-queues.ts'
import { SessionSubscriptions, type SessionSubscription } from './session-subscriptions.ts'

/**
 * What has changed in a session that outlives its connection: `k` the session itself, `s:` with a filter,
 * `q:` with the key of a message, `i:` with the id of a QoS 2 message that came.
 */
export type SessionField = 'k' | `s:${string}` | `q:${string}` | `i:${number}`

/** Is told what changes in the sessions that outlive their connection. */
export interface SessionWatcher {
  /**
   * Subscriptions are about to change, to what is told for each filter, or to nothing. They change, and the client
   * is told so, when this resolves; it does not reject.
   */
  changing(
    clientId: string,
    changes: ReadonlyMap<string, SessionSubscription | undefined>,
  ): Promise<void>
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

/** What there is of sessions, as the fan-out and the cluster ask for it: at once, without a promise. */
export class Sessions {
  protected readonly subscriptions: SessionSubscriptions = new SessionSubscriptions(
    (clientId, filter) => this.changed(clientId, `s:${filter}`),
  )
  protected readonly queues: SessionQueues
  protected readonly incoming: IncomingIds = new IncomingIds()
  /** The sessions that outlive their connection, with or without subscriptions. */
  readonly #kept = new Set<string>()
  #watcher: SessionWatcher | undefined

  /** @param maxQueued how many messages may wait for one session, of which the oldest goes first */
  constructor(maxQueued: number) {
    this.queues = new SessionQueues(maxQueued, (clientId, key) =>
      this.changed(clientId, `q:${key}`),
    )
  }

  /** Tells from now on what changes. */
  watch(watcher: SessionWatcher): void {
    this.#watcher = watcher
  }

  protected changed(clientId: string, field: SessionField): void {
    if (this.#watcher && this.#kept.has(clientId)) this.#watcher.changed(clientId, field)
  }

  /** Tells what is about to change in the subscriptions of a session; undefined when nobody has to be waited for. */
  protected changing(
    clientId: string,
    changes: ReadonlyMap<string, SessionSubscription | undefined>,
  ): Promise<void> | undefined {
    if (!this.#kept.has(clientId)) return undefined
    return this.#watcher?.changing(clientId, changes)
  }

  /** Notes that there is a session, which will outlive its connection. */
  keepSession(clientId: string): void {
    if (this.#kept.has(clientId)) return
    this.#kept.add(clientId)
    this.changed(clientId, 'k')
  }

  /** Whether there is a session to be resumed. */
  hasSession(clientId: string): boolean {
    return this.#kept.has(clientId)
  }

  /** The sessions that outlive their connection. */
  sessions(): Iterable<string> {
    return this.#kept
  }

  /** Takes over a session from another broker. */
  restoreSession(clientId: string, { subscriptions, queue, incoming }: SessionContent): void {
    this.keepSession(clientId)
    this.subscriptions.add(clientId, subscriptions as readonly Subscription[])
    for (const [key, packet] of queue) this.queues.open(clientId).restore(key, packet)
    for (const messageId of incoming) this.incoming.add({ id: clientId }, messageId)
  }

  /** Forgets a session that another broker has taken over. */
  dropSession(clientId: string): void {
    this.#kept.delete(clientId)
    this.endSession({ id: clientId })
  }

  /** Ends a session: what is queued belongs to the old one, too [MQTT-3.1.2-4]. */
  protected endSession(client: SessionClient): void {
    this.subscriptions.deleteAll(client.id)
    this.queues.delete(client.id)
    if (this.#kept.delete(client.id)) this.#watcher?.wiped(client.id)
    this.incoming.deleteAll(client)
  }

  /** Everything there is of a session. */
  *fieldsOf(clientId: string): Generator<SessionField> {
    yield 'k'
    for (const { topic } of this.subscriptions.ofSession(clientId)) yield `s:${topic}`
    for (const key of this.queues.get(clientId)?.keys() ?? []) yield `q:${key}`
    for (const messageId of this.incoming.ofSession(clientId)) yield `i:${messageId}`
  }

  /** One subscription of a session. */
  subscriptionOf(clientId: string, filter: string): SessionSubscription | undefined {
    return this.subscriptions.get(clientId, filter)
  }

  /** The subscriptions above QoS 0 to which a topic's messages belong. */
  subscribedTo(topic: string): SessionSubscription[] {
    return this.subscriptions.match(topic)
  }

  /** The shared subscriptions of sessions. */
  sharedNames(): Iterable<string> {
    return this.subscriptions.sharedNames()
  }

  /** The messages above QoS 0 of a session; undefined when there is none. */
  queueOf(clientId: string): OutgoingQueue | undefined {
    return this.#kept.has(clientId) ? this.queues.open(clientId) : this.queues.get(clientId)
  }

  /** How many messages went because too many waited for a session. */
  get overflowed(): number {
    return this.queues.overflowed
  }

  /** Queues a message for several sessions. */
  enqueue(recipients: readonly SessionRecipient[], packet: AedesPublishPacket): void {
    this.queues.add(recipients, packet)
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
    for (const member of this.subscriptions.matchShared(packet.topic)) {
      const other = chosen.get(member.topic)
      const isBetter = !other || this.#waiting(member) < this.#waiting(other)
      if (isBetter && !served.has(member.topic)) chosen.set(member.topic, member)
    }
    for (const [group, member] of chosen) {
      if (!serves(group)) continue
      // Beside a copy that its other subscriptions may have for it.
      this.queues.add([member], { ...packet, brokerId: `${packet.brokerId}${group}` })
    }
  }

  #waiting({ clientId }: SessionSubscription): number {
    return this.queues.get(clientId)?.size ?? 0
  }

  /** Whether a session has a QoS 2 message open. */
  hasIncoming(clientId: string, messageId: number): boolean {
    return this.incoming.has({ id: clientId }, messageId)
  }

  /** How many QoS 2 messages of a client are not released yet. */
  openIncoming(client: SessionClient): number {
    return this.incoming.count(client)
  }
}
