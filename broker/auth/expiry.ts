import type { Cancel, Clock } from '../../runtime/clock.ts'
import type { Connection } from '../connection.ts'

/** Remembers until when each connection's credentials hold. */
export interface Expiry {
  /** From now on this is when the connection ends; undefined: never. */
  set(connection: Connection, expiresAt: number | undefined): void
  /** The connection is over. */
  forget(connection: Connection): void
}

/** Creates the memory; `onExpired` is called once for a connection whose time is up. */
export function createExpiry(clock: Clock, onExpired: (connection: Connection) => void): Expiry {
  const timers = new Map<Connection, Cancel>()

  function forget(connection: Connection): void {
    timers.get(connection)?.()
    timers.delete(connection)
  }

  function wait(connection: Connection, expiresAt: number): void {
    // A clock's longest timer may be shorter than a token's life, and a clock can be set.
    const look = (): void => {
      if (clock.now() < expiresAt) return wait(connection, expiresAt)
      timers.delete(connection)
      onExpired(connection)
    }
    timers.set(connection, clock.after(Math.max(1, expiresAt - clock.now()), look))
  }

  return {
    set(connection, expiresAt) {
      forget(connection)
      if (expiresAt !== undefined) wait(connection, expiresAt)
    },
    forget,
  }
}
