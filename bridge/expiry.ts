import type { Clock } from '../runtime/clock.ts'
import { nextDeadline } from './core/index.ts'
import type { Roster } from './roster.ts'
import type { Store } from './store/store.ts'
import type { Users } from './users.ts'
import type { Witness } from './witness.ts'

/** What is done when users' deadlines have come. */
export interface Expiry {
  /** Finds out what is known of the brokers. */
  prepare(): Promise<void>
  /** Acts on the deadline of a user, or moves it. */
  expire(user: string): Promise<unknown>
}

/** Options of {@link createExpiry}. */
export interface ExpiryOptions {
  readonly store: Store
  readonly users: Users
  /** Where other bridges share the store. */
  readonly roster: Roster | undefined
  /** Where there is something between the bridge and its broker. */
  readonly witness: Witness | undefined
  readonly clock: Clock
}

/** By how much a grace is moved that ends while its broker is not heard, in milliseconds. */
const HOLD_MS = 500

const NOBODY: ReadonlySet<string | null> = new Set()

/**
 * Creates it. While a broker is not heard, nobody knows who has come back there: it may live, and be cut off from us.
 * So graces are moved, until the broker is heard again or is lost.
 */
export function createExpiry({ store, users, roster, witness, clock }: ExpiryOptions): Expiry {
  let silent = NOBODY

  return {
    async prepare() {
      silent = (await witness?.ask()) ?? NOBODY
    },
    async expire(user) {
      const unsure = new Set([...(roster?.unsure() ?? []), ...silent])
      if (unsure.size > 0) {
        const state = (await store.loadUser(user))?.state
        // A client may come back at whichever broker of ours it likes.
        const isUnsure = state?.connections.some(
          ({ status, broker }) => status === 'grace' && (broker !== null || unsure.has(null)),
        )
        // Another bridge may have moved it already.
        const isDue = state !== undefined && (nextDeadline(state) ?? Infinity) <= clock.now()
        if (isUnsure && isDue) return users.apply(user, { type: 'shift', byMs: HOLD_MS })
      }
      return users.apply(user, { type: 'timer' })
    },
  }
}
