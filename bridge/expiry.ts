import type { Clock } from '../runtime/clock.ts'
import { nextDeadline } from './core/index.ts'
import type { Roster } from './roster.ts'
import type { Store } from './store/store.ts'
import type { Users } from './users.ts'

/** Options of {@link createExpiry}. */
export interface ExpiryOptions {
  readonly store: Store
  readonly users: Users
  readonly roster: Roster
  readonly clock: Clock
}

/** By how much a grace is moved that ends while its broker is not heard, in milliseconds. */
const HOLD_MS = 500

/**
 * What is done when a user's deadline has come, where other bridges share the store. While the broker of a
 * connection in grace is not heard, nobody knows whether the client has come back there: it may live, and be cut
 * off from us. So the grace is moved, until the broker is heard again or is lost.
 */
export function createExpiry({ store, users, roster, clock }: ExpiryOptions) {
  return async (user: string): Promise<unknown> => {
    const unsure = roster.unsure()
    if (unsure.size > 0) {
      const state = (await store.loadUser(user))?.state
      const isUnsure = state?.connections.some(
        ({ status, broker }) => status === 'grace' && broker !== null && unsure.has(broker),
      )
      // Another bridge may have moved it already.
      const isDue = state !== undefined && (nextDeadline(state) ?? Infinity) <= clock.now()
      if (isUnsure && isDue) return users.apply(user, { type: 'shift', byMs: HOLD_MS })
    }
    return users.apply(user, { type: 'timer' })
  }
}
