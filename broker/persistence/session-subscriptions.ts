import type { Subscription } from 'aedes'

import { createFilterIndex, type FilterIndex } from '../fanout/filter-index.ts'
import { filterOf, isSharedName } from '../fanout/shared-name.ts'

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

/** The subscriptions of all sessions, and which of them a topic's messages are stored for. */
export class SessionSubscriptions {
  readonly #bySession = new Map<string, Map<string, SessionSubscription>>()
  readonly #index = createFilterIndex<SessionSubscription>()
  /** Those that are shared, by what they match. */
  readonly #shared = createFilterIndex<SessionSubscription>()
  /** The same by name. */
  readonly #sharing = new Map<string, Set<SessionSubscription>>()
  readonly #onChanged: (clientId: string, filter: string) => void

  /** @param onChanged called with what came, went, or is another than before */
  constructor(onChanged: (clientId: string, filter: string) => void) {
    this.#onChanged = onChanged
  }

  /** One subscription of a session. */
  get(clientId: string, filter: string): SessionSubscription | undefined {
    return this.#bySession.get(clientId)?.get(filter)
  }

  /** The subscriptions of a session. */
  ofSession(clientId: string): Iterable<SessionSubscription> {
    return this.#bySession.get(clientId)?.values() ?? []
  }

  /**
   * Adds to a session's subscriptions. For each filter of a SUBSCRIBE that is granted Aedes passes
   * all of them; those that bear a failure code in the place of their QoS were refused.
   */
  add(clientId: string, added: readonly Subscription[]): void {
    const stored = getOrCreate(this.#bySession, clientId, () => new Map())
    for (const subscription of added) {
      const own = subscriptionOf(clientId, subscription)
      if (!own) continue
      const before = stored.get(own.topic)
      // All of them, for each of them: what is there already must cost next to nothing.
      if (before && isSameSubscription(before, own)) continue
      this.#unindex(before)
      stored.set(own.topic, own)
      // Messages are stored for who asked for them above QoS 0.
      if (own.qos > 0) this.#addToIndex(own)
      this.#onChanged(clientId, own.topic)
    }
  }

  /** Removes filters from a session's subscriptions. */
  delete(clientId: string, filters: readonly string[]): void {
    const stored = this.#bySession.get(clientId)
    for (const filter of filters) {
      this.#unindex(stored?.get(filter))
      if (stored?.delete(filter)) this.#onChanged(clientId, filter)
    }
    if (stored?.size === 0) this.#bySession.delete(clientId)
  }

  /** Removes all that a session has; nobody is told. */
  deleteAll(clientId: string): void {
    for (const subscription of this.ofSession(clientId)) this.#unindex(subscription)
    this.#bySession.delete(clientId)
  }

  /** The subscriptions above QoS 0 to which a topic's messages belong, without those that are shared. */
  match(topic: string): SessionSubscription[] {
    return this.#index.match(topic).flatMap((matching) => [...matching])
  }

  /** Those that are shared. */
  matchShared(topic: string): SessionSubscription[] {
    return this.#shared.match(topic).flatMap((matching) => [...matching])
  }

  /** The names of the shared subscriptions above QoS 0. */
  sharedNames(): Iterable<string> {
    return this.#sharing.keys()
  }

  /** How many subscriptions above QoS 0 there are, and how many sessions with any. */
  count(): { subsCount: number; clientsCount: number } {
    let subsCount = 0
    for (const stored of this.#bySession.values()) {
      for (const { qos } of stored.values()) if (qos > 0) subsCount++
    }
    return { subsCount, clientsCount: this.#bySession.size }
  }

  /** The ids of the sessions that have exactly this filter. */
  clientsWith(filter: string): string[] {
    const clients: string[] = []
    for (const [clientId, stored] of this.#bySession) {
      if (stored.has(filter)) clients.push(clientId)
    }
    return clients
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

/** A subscription as it is stored; undefined when it bears a failure code. */
export function subscriptionOf(
  clientId: string,
  from: Subscription,
): SessionSubscription | undefined {
  const { topic, qos, rh, rap, nl } = from
  if (qos > 2) return undefined
  // Aedes puts the Subscription Identifier here; its types do not say so.
  const { subscriptionIdentifier } = from as { subscriptionIdentifier?: number }
  const subscription = { clientId, topic, qos, rh, rap, nl }
  return subscriptionIdentifier === undefined
    ? subscription
    : { ...subscription, subscriptionIdentifier }
}

/** Whether two of one session mean the same for one filter. */
export function isSameSubscription(one: SessionSubscription, other: SessionSubscription): boolean {
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
