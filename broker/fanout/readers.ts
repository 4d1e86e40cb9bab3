import type { AedesClient, Notify } from '../aedes-internals.ts'
import type { ReaderSubscription } from './adopt-client.ts'
import { combineGrants, type Grant } from './grant.ts'

/** What the index holds: a client's subscription, or a listener that is no client's. */
export type Subscriber = ReaderSubscription | Notify

/**
 * Calls `deliver` once for each client with a matching subscription, with all that its subscriptions
 * grant. Returns how many there were.
 */
export function forEachReader(
  matched: readonly ReadonlySet<Subscriber>[],
  publisher: string | undefined,
  deliver: (client: AedesClient, grant: Grant) => void,
): number {
  let count = 0
  const [only] = matched
  if (only && matched.length === 1) {
    // A client has a filter once, so nothing can overlap. By far the most frequent case.
    for (const subscriber of only) {
      if (typeof subscriber === 'function') continue
      deliver(subscriber.client, grantFor(subscriber, publisher))
      count++
    }
    return count
  }
  for (const [client, grant] of mergeByClient(matched, publisher)) {
    deliver(client, grant)
    count++
  }
  return count
}

/** Calls the listeners that are no client's, as often as they match. */
export function forEachListener(
  matched: readonly ReadonlySet<Subscriber>[],
  call: (listener: Notify) => void,
): void {
  for (const subscribers of matched) {
    for (const subscriber of subscribers) if (typeof subscriber === 'function') call(subscriber)
  }
}

function mergeByClient(
  matched: readonly ReadonlySet<Subscriber>[],
  publisher: string | undefined,
): Map<AedesClient, Grant> {
  const grants = new Map<AedesClient, Grant>()
  for (const subscribers of matched) {
    for (const subscriber of subscribers) {
      if (typeof subscriber === 'function') continue
      const grant = grantFor(subscriber, publisher)
      const before = grants.get(subscriber.client)
      grants.set(subscriber.client, before ? combineGrants(before, grant) : grant)
    }
  }
  return grants
}

function grantFor(subscription: ReaderSubscription, publisher: string | undefined): Grant {
  return subscription.client.id === publisher ? subscription.grantForOwn : subscription.grant
}
