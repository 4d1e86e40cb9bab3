import {
  backoffDelay,
  holdToken,
  isTokenOver,
  NO_RENEWAL,
  renewalDeadline,
  stepRenewal,
  type ConnectionState,
  type Renewal,
  type RenewalPolicy,
  type SessionOptions,
  type TokenTimes,
} from '../core/index.ts'
import type { MqttConnection } from './mqtt-connection.ts'
import type { Surroundings } from './port.ts'
import { readTokenTimes } from './token-times.ts'

/** Keeps the token of a connection that is up from expiring: hands in the next one in time. */
export interface TokenKeeper {
  /** The broker has taken a token. */
  hold(connection: MqttConnection, times: TokenTimes | null): void
  /** The connection is over. */
  forget(): void
  tick(): void
  /** A page gives the next token. */
  renew(token: string): void
  /** A page cannot. */
  fail(message: string): void
  /** When `tick` is due; null when there is nothing to wait for. */
  readonly deadline: number | null
  /** Whether the token's time is up, so that an end of the connection is explained. */
  readonly isOver: boolean
  /** What the page should know of a renewal that fails; null when there is nothing. */
  readonly trouble: Partial<ConnectionState> | null
}

/** Options of {@link createTokenKeeper}. */
export interface TokenKeeperOptions {
  readonly session: SessionOptions
  readonly world: Surroundings
  /** Asks a page for a token, another one after each failure. */
  readonly ask: (failed: number) => void
  /** The deadline or the trouble has changed. */
  readonly onChange: () => void
}

/** Where our broker takes new tokens; nobody can read it. */
const TOKEN_TOPIC = '$presence/token'

/** Creates a keeper that has no token yet. */
export function createTokenKeeper({
  session,
  world,
  ask,
  onChange,
}: TokenKeeperOptions): TokenKeeper {
  const policy: RenewalPolicy = {
    tokenTimeoutMs: session.tokenTimeoutMs,
    delay: (failed) => backoffDelay(failed, world.random(), session),
  }
  let renewal: Renewal = NO_RENEWAL
  let connection: MqttConnection | null = null
  let current: TokenTimes | null = null

  function change(next: Renewal): void {
    if (next === renewal) return
    renewal = next
    onChange()
  }

  function fail(message: string): void {
    change(stepRenewal(renewal, { type: 'failed', message }, world.now(), policy)[0])
  }

  async function handIn(token: string, times: TokenTimes | null): Promise<void> {
    const to = connection
    try {
      await to?.publish(TOKEN_TOPIC, token, 1, false)
      if (to !== connection) return
      current = times
      change(holdToken(times, world.now(), world.random()))
    } catch (error) {
      if (to === connection) fail(`the broker does not take the new token: ${String(error)}`)
    }
  }

  return {
    hold(to, times) {
      connection = to
      current = times
      // Another broker knows nothing of this; there a new token means a new connection.
      renewal = session.foreign ? NO_RENEWAL : holdToken(times, world.now(), world.random())
    },
    forget() {
      connection = null
      current = null
      renewal = NO_RENEWAL
    },
    tick() {
      const [next, isDue] = stepRenewal(renewal, { type: 'timer' }, world.now(), policy)
      change(next)
      if (isDue) ask(renewal.status === 'none' ? 0 : renewal.failed)
    },
    renew(token) {
      if (renewal.status === 'none') return
      const times = readTokenTimes(token)
      // By the same clock, whatever it shows. An expired one is no longer, either.
      if (times && current && times.expiresAt <= current.expiresAt) {
        return fail('getToken gave a token that holds no longer than the one before')
      }
      void handIn(token, times)
    },
    fail,
    get deadline() {
      return renewalDeadline(renewal)
    },
    get isOver() {
      return isTokenOver(renewal, world.now())
    },
    get trouble(): Partial<ConnectionState> | null {
      if (renewal.status === 'none' || renewal.failed === 0) return null
      const { failed, message } = renewal
      const retryAt = renewal.status === 'holding' ? renewal.until : null
      return { reason: 'token', message, failed, retryAt }
    },
  }
}
