import { Readable } from 'node:stream'

import type { AedesPublishPacket, Subscription } from 'aedes'

import type { OutgoingPacket, OutgoingPubrel, PacketReference } from './outgoing-queue.ts'
import { PendingChanges } from './pending-changes.ts'
import type { SessionClient } from './session-client.ts'
import type { SessionRecipient } from './session-queues.ts'
import {
  isSameSubscription,
  subscriptionOf,
  type SessionSubscription,
} from './session-subscriptions.ts'
import { Sessions } from './sessions.ts'
import { settle } from './settled.ts'

export type { SessionSubscription } from './session-subscriptions.ts'
export type { SessionContent, SessionField } from './sessions.ts'

/** Options of {@link SessionPersistence}. */
export interface SessionPersistenceOptions {
  /** How many messages may wait for one session, of which the oldest goes first. @default any number */
  readonly maxQueued?: number
  /** Whether somebody else than Aedes sends what is queued, see {@link Sessions.queueOf}. @default false */
  readonly isSentByFanout?: boolean
}

/** The sessions as Aedes asks for them: subscriptions, and messages above QoS 0. */
export class SessionPersistence extends Sessions {
  readonly #isSentByFanout: boolean
  readonly #pending = new PendingChanges<SessionSubscription>((id, changes) =>
    this.changing(id, changes),
  )

  constructor({ maxQueued = Infinity, isSentByFanout = false }: SessionPersistenceOptions = {}) {
    super(maxQueued)
    this.#isSentByFanout = isSentByFanout
  }

  /** Adds to a session's subscriptions. */
  addSubscriptions(client: SessionClient, added: readonly Subscription[]): Promise<void> {
    const { id } = client
    const changes = new Map<string, SessionSubscription>()
    for (const subscription of added) {
      const own = subscriptionOf(id, subscription)
      if (own && !this.#willBe(own)) changes.set(own.topic, own)
    }
    return this.#pending.change(id, changes, () => this.subscriptions.add(id, added))
  }

  /** Removes filters from a session's subscriptions. */
  removeSubscriptions({ id }: SessionClient, filters: readonly string[]): Promise<void> {
    const isThere = (filter: string): boolean =>
      this.#pending.willBe(id, filter, this.subscriptions.get(id, filter)) !== undefined
    const changes = new Map(filters.filter(isThere).map((filter) => [filter, undefined]))
    return this.#pending.change(id, changes, () => this.subscriptions.delete(id, filters))
  }

  /** Whether a subscription is there as it is, or will be. */
  #willBe(own: SessionSubscription): boolean {
    const { clientId, topic } = own
    const known = this.#pending.willBe(clientId, topic, this.subscriptions.get(clientId, topic))
    return known !== undefined && isSameSubscription(known, own)
  }

  protected override endSession(client: SessionClient): void {
    this.#pending.forget(client.id)
    super.endSession(client)
  }

  /** A session's subscriptions, which are restored when its client connects again. */
  subscriptionsByClient(client: SessionClient): Promise<Omit<SessionSubscription, 'clientId'>[]> {
    return settle(() => {
      const stored = this.subscriptions.ofSession(client.id)
      return Array.from(stored, ({ clientId: _clientId, ...subscription }) => subscription)
    })
  }

  /** The subscriptions above QoS 0 to which a topic's messages belong. */
  subscriptionsByTopic(topic: string): Promise<SessionSubscription[]> {
    return settle(() => this.subscribedTo(topic))
  }

  /**
   * Ends a session: Aedes asks for it at a clean start and when a session expires. Not only the
   * subscriptions go, as the name says.
   */
  cleanSubscriptions(client: SessionClient): Promise<void> {
    return settle(() => this.endSession(client))
  }

  /** How many subscriptions above QoS 0 there are, and how many sessions with any. */
  countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return settle(() => this.subscriptions.count())
  }

  /** The ids of the sessions that have exactly this filter. */
  getClientList(filter: string): Readable {
    return Readable.from(this.subscriptions.clientsWith(filter))
  }

  /** Queues a message for one session. */
  outgoingEnqueue(recipient: SessionRecipient, packet: AedesPublishPacket): Promise<void> {
    return this.outgoingEnqueueCombi([recipient], packet)
  }

  /** Queues a message for several sessions. */
  outgoingEnqueueCombi(
    recipients: readonly SessionRecipient[],
    packet: AedesPublishPacket,
  ): Promise<void> {
    return settle(() => this.enqueue(recipients, packet))
  }

  /** Notes the id under which a message is sent, or the PUBREL that follows it. */
  outgoingUpdate(
    client: SessionClient,
    packet: AedesPublishPacket | OutgoingPubrel,
  ): Promise<void> {
    return settle(() => this.queues.get(client.id)?.update(packet))
  }

  /** Takes what was acknowledged out of a session's queue. */
  outgoingClearMessageId(
    client: SessionClient,
    packet: PacketReference,
  ): Promise<OutgoingPacket | undefined> {
    return settle(() => this.queues.remove(client.id, packet))
  }

  /** What a session owes its client, in order; nothing when somebody else sends it. */
  outgoingStream(client: SessionClient): Readable {
    if (this.#isSentByFanout) return Readable.from([])
    return Readable.from(this.queues.get(client.id)?.pending() ?? [])
  }

  /** Notes that a QoS 2 message has arrived. */
  incomingStorePacket(client: SessionClient, packet: { messageId: number }): Promise<void> {
    return settle(() => {
      this.incoming.add(client, packet.messageId)
      this.changed(client.id, `i:${packet.messageId}`)
    })
  }

  /** Resolves when a QoS 2 message has arrived before; rejects when it is new. */
  incomingGetPacket(
    client: SessionClient,
    { messageId }: { messageId: number },
  ): Promise<{ messageId: number }> {
    return settle(() => {
      if (!this.incoming.has(client, messageId)) throw new Error('no such packet')
      return { messageId }
    })
  }

  /** Notes that a QoS 2 message was released: the next one with its id is new. */
  incomingDelPacket(client: SessionClient, packet: { messageId: number }): Promise<void> {
    return settle(() => {
      this.incoming.delete(client, packet.messageId)
      this.changed(client.id, `i:${packet.messageId}`)
    })
  }
}
