import { setImmediate as afterReads } from 'node:timers/promises'
import type { Cancel, Clock } from '../../runtime/clock.ts'
import { watchStalls } from '../../runtime/stall-watch.ts'
import type { Connection } from '../connection.ts'
import { WebSocketDuplex } from '../transport/websocket-duplex.ts'
import { judge, SWEEP_MS, type LivenessPolicy } from './sweep.ts'

/** Notices dead peers: one sweep over all connections instead of a timer for each. */
export interface Liveness {
  /** Notes from now on when the transport answers. */
  watch(connection: Connection): void
  /** Whether this process was stopped a moment ago: who goes now has lost patience with us. */
  wasStalled(): boolean
  close(): void
}

/** Options of {@link createLiveness}. */
export interface LivenessOptions {
  readonly clock: Clock
  readonly policy: LivenessPolicy
  readonly connections: () => Iterable<Connection>
  readonly onDead: (connection: Connection) => void
  readonly onStall: (ms: number) => void
  readonly onError: (error: unknown) => void
}

/** How long after a stall an end is held against the broker, in milliseconds. */
const AFTERMATH_MS = 2000

/** Starts the sweep. */
export function createLiveness(options: LivenessOptions): Liveness {
  const { clock, policy, connections, onDead, onError } = options
  const stalls = watchStalls({ clock, onStall })
  let excuseUntil = 0
  let closed = false
  let cancel: Cancel = clock.after(SWEEP_MS, look)

  function onStall(ms: number): void {
    excuseUntil = clock.now() + AFTERMATH_MS
    // Nobody was silent while nobody listened.
    for (const connection of connections()) {
      connection.heardAt += ms
      connection.transportHeardAt += ms
      connection.pingedAt += ms
    }
    options.onStall(ms)
  }

  function look(): void {
    sweep()
      .catch(onError)
      .finally(() => {
        if (!closed) cancel = clock.after(SWEEP_MS, look)
      })
  }

  async function sweep(): Promise<void> {
    stalls.check()
    // What has arrived is read before anybody is called silent.
    await afterReads()
    const now = clock.now()
    for (const connection of connections()) {
      const { conn } = connection.client
      // What the gate holds back is not yet heard, through no fault of the client.
      if (conn.readableLength > 0) connection.heardAt = now
      const verdict = judge(connection, now, policy)
      if (verdict === 'dead') onDead(connection)
      else if (verdict === 'ping' && conn instanceof WebSocketDuplex) {
        connection.pingedAt = now
        conn.ping()
      }
    }
  }

  return {
    watch(connection) {
      const { conn } = connection.client
      conn.on('pong', () => (connection.transportHeardAt = clock.now()))
    },
    wasStalled() {
      stalls.check()
      return clock.now() < excuseUntil
    },
    close() {
      closed = true
      cancel()
      stalls.close()
    },
  }
}
