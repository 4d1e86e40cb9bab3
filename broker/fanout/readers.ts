import type { EmittedPacket, Notify } from '../aedes-internals.ts'
import type { Reader, ReaderSubscription } from './adopt-client.ts'
import { combineGrants, type Grant } from './grant.ts'
import { SharedGroup, type Serves } from './shared-group.ts'

/** What the index holds: a client's subscription, those that share one, or a listener that is no client's. */
export type Subscriber = ReaderSubscription | SharedGroup | Notify

/** Delivers to one reader; `group` is the name of the shared subscription, if it is for one. */
export type Deliver = (reader: Reader, grant: Grant, group?: string) => void

/**
 * Calls `deliver` once for each client with a matching subscription, with all that its subscriptions
 * grant, and once for one member of each shared one. Returns how many there were.
 */
export function forEachReader(
  matched: readonly ReadonlySet<Subscriber>[],
  packet: EmittedPacket,
  deliver: Deliver,
  serves: Serves,
): number {
  const publisher = packet.clientId
  let count = 0
  const [only] = matched
  if (only && matched.length === 1) {
    // A client has a filter once, so nothing can overlap. By far the most frequent case.
    for (const subscriber of only) {
      if (typeof subscriber === 'function') continue
      if (subscriber instanceof SharedGroup) subscriber.deliver(deliver, packet, serves)
      else deliver(subscriber.reader, grantFor(subscriber, publisher))
      count++
    }
    return count
  }
  for (const [reader, grant] of mergeByClient(matched, publisher)) {
    deliver(reader, grant)
    count++
  }
  for (const subscribers of matched) {
    for (const subscriber of subscribers) {
      if (!(subscriber instanceof SharedGroup)) continue
      subscriber.deliver(deliver, packet, serves)
      count++
    }
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
): Map<Reader, Grant> {
  const grants = new Map<Reader, Grant>()
  for (const subscribers of matched) {
    for (const subscriber of subscribers) {
      if (typeof subscriber === 'function' || subscriber instanceof SharedGroup) continue
      const grant = grantFor(subscriber, publisher)
      const before = grants.get(subscriber.reader)
      grants.set(subscriber.reader, before ? combineGrants(before, grant) : grant)
    }
  }
  return grants
}

function grantFor(subscription: ReaderSubscription, publisher: string | undefined): Grant {
  return subscription.reader.client.id === publisher ? subscription.grantForOwn : subscription.grant
}
