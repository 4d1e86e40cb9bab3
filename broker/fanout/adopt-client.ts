import {
  interceptFilters,
  type AedesClient,
  type AedesSubscription,
  type Notify,
} from '../aedes-internals.ts'
import { grantOf, type Grant } from './grant.ts'
import type { Outbox } from './outbox.ts'
import { toShownName } from './shared-name.ts'

/**
 * What Aedes is given as a client's `duplicates`: reads 0 whatever is written.
 *
 * Aedes drops a message whose number is not above the client's last one, but numbers are given before
 * a message is stored, so a retained message comes after a plain one that was published later and would
 * be lost. On one broker there is nothing to de-duplicate.
 */
const neverDuplicate: Record<string, number> = new Proxy<Record<string, number>>(
  {},
  { get: () => 0, set: () => true, deleteProperty: () => true },
)

/** A client, and what it is sent above QoS 0. */
export interface Reader {
  readonly client: AedesClient
  readonly outbox: Outbox
}

/** One client's subscription, as the fan-out uses it. */
export interface ReaderSubscription {
  readonly reader: Reader
  readonly grant: Grant
  /** What remains of the grant for the client's own messages. */
  readonly grantForOwn: Grant
}

/** Knows which client a listener delivers to. */
export interface Owners {
  /** Watches the subscriptions of a new client; to be called before it can have any. */
  adopt(reader: Reader): void
  /** The subscription whose listener this is; undefined when it is nobody's (the broker's own, an embedder's). */
  find(listener: Notify): ReaderSubscription | undefined
}

/**
 * Aedes subscribes its clients by a closure that does not tell whose it is. But it first puts the closure
 * into `client.subscriptions`, which is where it is caught.
 */
export function createOwners(): Owners {
  const subscriptions = new WeakMap<Notify, ReaderSubscription>()
  return {
    adopt(reader) {
      const { client } = reader
      client.duplicates = neverDuplicate
      interceptFilters(client, toShownName)
      // Without a prototype: Aedes takes the filter "toString" for one that is already subscribed.
      const byFilter = Object.create(null) as Record<string, AedesSubscription>
      client.subscriptions = new Proxy(byFilter, {
        set(target, filter: string, subscription: AedesSubscription) {
          target[filter] = subscription
          subscriptions.set(subscription.func, {
            reader,
            grant: grantOf(subscription),
            grantForOwn: grantOf(subscription, true),
          })
          return true
        },
      })
    },
    find: (listener) => subscriptions.get(listener),
  }
}
