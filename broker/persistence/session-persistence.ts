import { Readable } from 'node:stream'

import type { AedesPublishPacket, Subscription } from 'aedes'

import { createFilterIndex } from '../fanout/filter-index.ts'
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

/** The part of the store that is about sessions: subscriptions, and messages above QoS 0. */
export class SessionPersistence {
  readonly #subscriptions = new Map<string, Map<string, SessionSubscription>>()
  readonly #index = createFilterIndex<SessionSubscription>()
  readonly #outgoing = new Map<string, OutgoingQueue>()
  readonly #incoming = new IncomingIds()

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
        this.#unindex(stored.get(own.topic))
        stored.set(own.topic, own)
        // Messages are stored for who asked for them above QoS 0.
        if (own.qos > 0) this.#index.add(own.topic, own)
      }
    })
  }

  /** Removes filters from a session's subscriptions. */
  removeSubscriptions(client: SessionClient, filters: readonly string[]): Promise<void> {
    return settle(() => {
      const stored = this.#subscriptions.get(client.id)
      for (const filter of filters) {
        this.#unindex(stored?.get(filter))
        stored?.delete(filter)
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

  /** The subscriptions above QoS 0 to which a topic's messages belong. */
  subscriptionsByTopic(topic: string): Promise<SessionSubscription[]> {
    return settle(() => this.#index.match(topic).flatMap((matching) => [...matching]))
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
    return settle(() => {
      if (subscriptions.length === 0) return
      const shared = { ...packet, payload: ownPayload(packet.payload) }
      for (const subscription of subscriptions) {
        const queue = getOrCreate(this.#outgoing, subscription.clientId, () => new OutgoingQueue())
        queue.add(shared, subscription)
      }
    })
  }

  /** Notes the id under which a message is sent, or the PUBREL that follows it. */
  outgoingUpdate(
    client: SessionClient,
    packet: AedesPublishPacket | OutgoingPubrel,
  ): Promise<void> {
    return settle(() => {
      if (packet.cmd === 'pubrel') {
        getOrCreate(this.#outgoing, client.id, () => new OutgoingQueue()).update(packet)
      } else {
        this.#outgoing.get(client.id)?.update(packet)
      }
    })
  }

  /** Takes what was acknowledged out of a session's queue. */
  outgoingClearMessageId(
    client: SessionClient,
    packet: PacketReference,
  ): Promise<OutgoingPacket | undefined> {
    return settle(() => {
      const queue = this.#outgoing.get(client.id)
      const removed = queue?.remove(packet)
      if (queue?.size === 0) this.#outgoing.delete(client.id)
      return removed
    })
  }

  /** What a session owes its client, in order. */
  outgoingStream(client: SessionClient): Readable {
    return Readable.from(this.#outgoing.get(client.id)?.pending() ?? [])
  }

  /** Notes that a QoS 2 message has arrived. */
  incomingStorePacket(client: SessionClient, packet: { messageId: number }): Promise<void> {
    return settle(() => this.#incoming.add(client, packet.messageId))
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
    return settle(() => this.#incoming.delete(client, packet.messageId))
  }

  #unindex(subscription: SessionSubscription | undefined): void {
    if (subscription !== undefined) this.#index.remove(subscription.topic, subscription)
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

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = create()))
  return value
}
