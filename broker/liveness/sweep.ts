import type { Connection } from '../connection.ts'

/** How patient the broker is. */
export interface LivenessPolicy {
  /** How long an idle peer may be out of reach, in milliseconds. */
  readonly timeoutMs: number
  /** How late a keepalive may be while the WebSocket answers pings, in milliseconds. */
  readonly toleranceMs: number
}

/** What there is to do about one connection. */
export type Verdict = 'alive' | 'ping' | 'dead'

/** How often every connection is looked at, in milliseconds. */
export const SWEEP_MS = 200

/** Judges a connection by when it was last heard. Pure: time is an argument. */
export function judge(connection: Connection, now: number, policy: LivenessPolicy): Verdict {
  const isWebSocket = connection.info.transport === 'websocket'
  const wanted = connection.document.tolerance ?? Infinity
  const toleranceMs = isWebSocket ? Math.min(wanted, policy.toleranceMs) : 0
  const silentMs = now - connection.heardAt
  const unreachableMs = Math.min(silentMs, now - connection.transportHeardAt)
  const sincePingMs = now - connection.pingedAt

  // [MQTT-3.1.2-22] (5: [MQTT-3.1.2-22]): one and a half times the keepalive.
  const { keepaliveMs } = connection
  const lateMs = keepaliveMs > 0 ? silentMs - 1.5 * keepaliveMs : Number.NEGATIVE_INFINITY
  if (lateMs > toleranceMs) return 'dead'
  if (toleranceMs > 0 && keepaliveMs > 0 && silentMs >= keepaliveMs) {
    // Overdue. Asked from now on, a peer whose process runs has answered before it is late; one that
    // is frozen has not, and is dead at the same moment as over TCP.
    const probeMs = Math.min(5000, Math.max(SWEEP_MS, keepaliveMs / 4))
    if (lateMs > 0 && unreachableMs > Math.max(2 * probeMs, 1000)) return 'dead'
    if (sincePingMs >= probeMs) return 'ping'
  }
  // Over TCP the kernel asks in our place.
  if (!isWebSocket) return 'alive'
  if (unreachableMs >= policy.timeoutMs - 2 * SWEEP_MS) return 'dead'
  const askMs = policy.timeoutMs / 2 - SWEEP_MS
  return unreachableMs >= askMs && sincePingMs >= askMs ? 'ping' : 'alive'
}
