/** What a token says of itself (RFC 7519), in milliseconds since the epoch. */
export interface TokenTimes {
  readonly expiresAt: number
  readonly issuedAt: number | null
}

/** When the next token is due. */
export type Renewal =
  /** No token, or one that does not say how long it holds. */
  | { readonly status: 'none' }
  /** The token holds; the next one is asked for at `until`. */
  | Held<'holding'>
  /** A new token is being fetched and handed in; it fails at `until`. */
  | Held<'asking'>

interface Held<Status> {
  readonly status: Status
  readonly until: number
  readonly expiresAt: number
  /** Attempts in a row that have failed. */
  readonly failed: number
  /** Why the last one did. */
  readonly message: string | null
}

/** What can happen to it. */
export type RenewalInput =
  | { readonly type: 'timer' }
  | { readonly type: 'failed'; readonly message: string }

/** What it has to know besides. */
export interface RenewalPolicy {
  readonly tokenTimeoutMs: number
  /** How long to wait after that many failures in a row. */
  readonly delay: (failed: number) => number
}

/** Nothing to renew. */
export const NO_RENEWAL: Renewal = { status: 'none' }

/** The earliest that a new token is asked for before the old one expires, in milliseconds. */
const EARLY_MS = 120_000

/** How much longer than it says our broker takes a token, for clocks that differ, in milliseconds. */
const TOLERANCE_MS = 5000

/**
 * Where a token stands that the broker has just taken. The next one is asked for in the last quarter of its
 * time, at most two minutes before its end; by chance, so that those who connected together do not ask together.
 *
 * @param random from 0 to 1
 */
export function holdToken(times: TokenTimes | null, now: number, random: number): Renewal {
  const leftMs = times && timeLeft(times, now)
  if (leftMs === null) return NO_RENEWAL
  const early = Math.min(EARLY_MS, leftMs / 4) * (0.5 + random / 2)
  const expiresAt = now + leftMs
  return { status: 'holding', until: expiresAt - early, expiresAt, failed: 0, message: null }
}

/**
 * How long a token holds that the broker takes; null when that cannot be known. A clock that says "not at all",
 * or "longer than it was made for", is wrong; how long it was made for is right by any clock.
 */
function timeLeft({ expiresAt, issuedAt }: TokenTimes, now: number): number | null {
  const leftMs = expiresAt - now
  const isOver = leftMs <= -TOLERANCE_MS
  if (issuedAt === null) return isOver ? null : Math.max(0, leftMs)
  const madeForMs = Math.max(0, expiresAt - issuedAt)
  return isOver ? madeForMs : Math.min(Math.max(0, leftMs), madeForMs)
}

/** What becomes of it, and whether a token has to be asked for. */
export function stepRenewal(
  renewal: Renewal,
  input: RenewalInput,
  now: number,
  policy: RenewalPolicy,
): readonly [Renewal, ask: boolean] {
  if (renewal.status === 'none') return [renewal, false]
  if (input.type === 'failed') return [retry(renewal, input.message, now, policy), false]
  if (now < renewal.until) return [renewal, false]
  if (renewal.status === 'holding') {
    return [{ ...renewal, status: 'asking', until: now + policy.tokenTimeoutMs }, true]
  }
  const message = `no new token within ${policy.tokenTimeoutMs} ms`
  return [retry(renewal, message, now, policy), false]
}

function retry(
  { expiresAt, failed }: Held<'holding' | 'asking'>,
  message: string,
  now: number,
  { delay }: RenewalPolicy,
): Renewal {
  const next = { expiresAt, failed: failed + 1, message }
  return { status: 'holding', until: now + delay(failed + 1), ...next }
}

/** A connection that ends at its token's time ends for that. */
const ABOUT_MS = 1000

/** Whether a connection that ends now has most likely ended because its token expired. */
export function isTokenOver(renewal: Renewal, now: number): boolean {
  return renewal.status !== 'none' && now >= renewal.expiresAt - ABOUT_MS
}

/** When a `timer` input is due; null when there is nothing to wait for. */
export function renewalDeadline(renewal: Renewal): number | null {
  return renewal.status === 'none' ? null : renewal.until
}
