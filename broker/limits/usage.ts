import type { Clock } from '../../runtime/clock.ts'
import type { Connection } from '../connection.ts'
import { createHoldback, type Holdback } from './holdback.ts'
import type { Limits } from './limits.ts'
import { createRates, type Rates } from './rate.ts'

/** Something that a client does and that costs others. */
export type Deed = 'message' | 'document' | 'subscription'

/** Keeps users to their rates. */
export interface Usage {
  /**
   * Runs when it is its turn, in the order of each connection.
   *
   * @returns false when it is a flood; then it never runs
   */
  spend(connection: Connection, deed: Deed, run: () => void): boolean
  /** A document has turned out to name so many rooms, each of which is published: the next one waits. */
  chargeRooms(connection: Connection, rooms: number): void
  /** Whether the owner of a client id may connect once more so soon. */
  mayConnect(owner: string): boolean
  /** What still waits of this connection is not done any more. */
  forget(connection: Connection): void
}

/** Seconds of the rate that may come at once, and that may wait. */
const BURST_SECONDS = 5
const PATIENCE_SECONDS = 5

/** So many rooms in a document cost as much as another document. */
const ROOMS_PER_DOCUMENT = 10

/** A user may connect a fifth as often as an address may, in which there may be many. */
const USERS_OF_ADDRESS = 5
const CONNECT_BURST_SECONDS = 2
/** How many connects a flood costs. */
const CONNECTS_AFTER_FLOOD = 10

/** Creates the books. They are kept by user, so that more connections do not give more. */
export function createUsage(limits: Limits, clock: Clock): Usage {
  const pace = { burstSeconds: BURST_SECONDS, patienceSeconds: PATIENCE_SECONDS }
  const messages = createRates({ perSecond: limits.maxMessagesPerSecond, ...pace })
  const documents = createRates({ perSecond: limits.maxDocumentsPerSecond, ...pace })
  // A crowd at once would hold up everybody else. Whoever is cut for a flood comes back slowly.
  const connects = createRates({
    perSecond: limits.maxConnectsPerSecond / USERS_OF_ADDRESS,
    burstSeconds: CONNECT_BURST_SECONDS,
    patienceSeconds: CONNECTS_AFTER_FLOOD,
  })
  const holdbacks = new WeakMap<Connection, Holdback>()

  return {
    spend(connection, deed, run) {
      const { identity } = connection
      // Bridges and services are the operator's own.
      if (!identity || identity.isBridge) {
        run()
        return true
      }
      const books: readonly Rates[] = deed === 'document' ? [messages, documents] : [messages]
      let waitMs = 0
      for (const book of books) {
        const wait = book.take(identity.user, clock.now())
        if (wait === undefined) {
          connects.take(`user ${identity.user}`, clock.now(), CONNECTS_AFTER_FLOOD)
          return false
        }
        waitMs = Math.max(waitMs, wait)
      }
      let holdback = holdbacks.get(connection)
      if (!holdback) {
        if (waitMs === 0) {
          run()
          return true
        }
        holdbacks.set(connection, (holdback = createHoldback(clock)))
      }
      holdback.run(waitMs, run)
      return true
    },
    chargeRooms({ identity }, rooms) {
      if (identity) documents.charge(identity.user, clock.now(), rooms / ROOMS_PER_DOCUMENT)
    },
    mayConnect: (owner) => connects.take(owner, clock.now()) === 0,
    forget(connection) {
      const { identity } = connection
      const waiting = holdbacks.get(connection)?.clear() ?? 0
      // The user's other connections need not pay for it: one is cut at a time.
      if (identity) messages.giveBack(identity.user, waiting)
    },
  }
}
