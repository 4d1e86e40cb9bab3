import type { Clock } from '../../runtime/clock.ts'
import { bringsCredentials, type Authenticator, type Credentials } from './authenticator.ts'
import type { Claims } from './claims.ts'

/** Why a CONNECT is refused, as 3.1.1 numbers it; Aedes knows what version 5 calls it. */
export interface ConnectRefusal {
  readonly returnCode: 2 | 3 | 4 | 5
  readonly reason: string
}

/** CONNACK return codes: identifier rejected, unavailable, bad user name or password, not authorized. */
export const IDENTIFIER_REJECTED = 2
export const UNAVAILABLE = 3
const BAD_CREDENTIALS = 4
const NOT_AUTHORIZED = 5

/** Who somebody is that knocks. */
export type Verdict =
  | { readonly kind: 'known'; readonly claims: Claims }
  /** Nobody is asked who he is: somebody is who he says. */
  | { readonly kind: 'anonymous' }
  /** Others are known here; this one has no credentials and is nobody. */
  | { readonly kind: 'guest' }
  | { readonly kind: 'refused'; readonly refusal: ConnectRefusal }

/** Options of {@link createDoor}. */
export interface DoorOptions {
  /** None: nobody is asked. */
  readonly authenticator: Authenticator | undefined
  /** Whether those without credentials may come in beside those who are known. */
  readonly allowGuests: boolean
  readonly clock: Clock
  /** The authenticator does not answer, or fails. */
  readonly onFailure: (error: string) => void
}

/** Finds out who knocks. */
export interface Door {
  /** Calls `done` once, in bounded time; in the same turn when nobody is asked. */
  judge(credentials: Credentials, done: (verdict: Verdict) => void): void
}

/** How long it may take to find out, in milliseconds. */
const TIMEOUT_MS = 10_000

/** Creates the door. */
export function createDoor(options: DoorOptions): Door {
  const { authenticator, allowGuests, clock, onFailure } = options

  return {
    judge(credentials, done) {
      if (!authenticator) return done({ kind: 'anonymous' })
      if (!bringsCredentials(credentials)) {
        if (allowGuests) return done({ kind: 'guest' })
        return done(refused(NOT_AUTHORIZED, 'it brings neither a token nor a password'))
      }
      let isOpen = true
      const settle = (verdict: Verdict): void => {
        if (!isOpen) return
        isOpen = false
        cancel()
        done(verdict)
      }
      const cancel = clock.after(TIMEOUT_MS, () => {
        onFailure(`it did not answer within ${TIMEOUT_MS} ms`)
        settle(refused(UNAVAILABLE, 'nobody can say who it is now'))
      })
      ask(authenticator, credentials, () => clock.now()).then(settle, (error: unknown) => {
        onFailure(String(error))
        settle(refused(UNAVAILABLE, 'nobody can say who it is now'))
      })
    },
  }
}

async function ask(
  authenticator: Authenticator,
  credentials: Credentials,
  now: () => number,
): Promise<Verdict> {
  const claims = await authenticator.authenticate(credentials)
  if (!claims.ok) return refused(BAD_CREDENTIALS, claims.error)
  const { expiresAt } = claims.value
  if (expiresAt !== undefined && expiresAt <= now()) {
    return refused(BAD_CREDENTIALS, 'its credentials have expired')
  }
  return { kind: 'known', claims: claims.value }
}

function refused(returnCode: ConnectRefusal['returnCode'], reason: string): Verdict {
  return { kind: 'refused', refusal: { returnCode, reason } }
}
