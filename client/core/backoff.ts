/** How attempts to connect are spaced. */
export interface BackoffPolicy {
  /** The most that the first retry waits, in milliseconds; doubles with each further one. */
  readonly baseMs: number
  /** The most that any retry waits, in milliseconds. */
  readonly capMs: number
  /** Attempts in a row that may fail before it is given up. */
  readonly maxTries: number
}

/**
 * How long to wait before attempt number `attempt` (1 is the first retry), with full jitter: anything
 * from nothing to the exponential bound. Of the usual schemes it is the one that spreads clients that
 * were cut together the most for the fewest calls
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 *
 * @param random from 0 to 1
 */
export function backoffDelay(attempt: number, random: number, policy: BackoffPolicy): number {
  // 2 ** 30 times any base is beyond any cap, and still a number.
  const bound = policy.baseMs * 2 ** Math.min(30, Math.max(0, attempt - 1))
  return Math.round(random * Math.min(policy.capMs, bound))
}
