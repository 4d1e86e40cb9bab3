import type { End, Outage } from './history.ts'

/** How long presence is held in these runs, in milliseconds. */
export const GRACE = { closed: 2000, timeout: 2000, error: 2000, broker: 8000 } as const

/** The keepalive of every client, in seconds. */
export const KEEPALIVE_S = 4
const KEEPALIVE_MS = KEEPALIVE_S * 1000

/** Every allowance that the checker makes, in milliseconds, and the reason for it. */
export const BOUNDS = {
  shown: { ms: 3000, why: 'from an acknowledgement, or the end of a grace, to the readers' },
  early: { ms: 50, why: 'before the end of a grace: two clocks, and timers of whole milliseconds' },
  overlap: { ms: 500, why: 'how long before the end of a grace a return has to be acknowledged' },
  sweep: { ms: 500, why: 'how late the broker may be to notice that 1.5 keepalives are over' },
  missed: { ms: 10_000, why: 'how long a dead broker goes unnoticed' },
  aftermath: { ms: 2000, why: 'ends read so soon after a broker was stopped count as its own' },
  settled: { ms: 10_000, why: 'after a fault of ours: until everything is exact again' },
  relink: { ms: 2000, why: 'a bridge tries a broker that is gone again every second' },
  written: { ms: 2000, why: 'until what has waited for Redis is in it' },
  subscribed: { ms: 2000, why: 'until a new reader has everything that is retained' },
} as const satisfies Record<string, { readonly ms: number; readonly why: string }>

const { shown, early, sweep, missed, aftermath, settled, relink } = BOUNDS

/** The longest that a connection which a broker took with it may still be shown, from its end. */
const WITH_BROKER_MS = missed.ms + GRACE.broker + shown.ms

/** A connection with this end is shown at least until then, whatever is broken. */
export function earliestOf({ how, from }: End, isVolatile: boolean): number {
  switch (how) {
    case 'left':
    case 'unsure':
      return from
    case 'closed':
    case 'replaced':
    case 'lost':
      return from + GRACE.closed - early.ms
    case 'silent':
      // It was heard at most one keepalive before it fell silent.
      return from + KEEPALIVE_MS / 2 + GRACE.timeout - early.ms
    case 'broker':
      return isVolatile ? from : from + GRACE.broker - early.ms
  }
}

/** And at most until then, when nothing of ours is broken. */
export function latestOf({ how, from, until }: End, isVolatile: boolean): number {
  switch (how) {
    case 'left':
      return until + shown.ms
    case 'closed':
    case 'replaced':
      return until + GRACE.closed + shown.ms
    case 'silent': {
      const silent = from + 1.5 * KEEPALIVE_MS + sweep.ms + GRACE.timeout
      return Math.max(silent, until + GRACE.closed) + shown.ms
    }
    case 'broker':
    case 'unsure':
    case 'lost':
      // Presence that lives in the one server is never held for a broker that is missed.
      return until + (isVolatile ? GRACE.broker + shown.ms : WITH_BROKER_MS)
  }
}

/** How long after the end of a fault of ours everything has to be exact again. */
export function recoveryOf({ part, harm }: Outage): number {
  if (part === 'harness') return shown.ms
  const isBroker = part === 'server' || part === 'broker'
  if (isBroker && harm === 'stop') return aftermath.ms + GRACE.broker + shown.ms
  if (part === 'broker') return relink.ms + WITH_BROKER_MS
  return settled.ms
}

/**
 * When something that began at a time and would be due at another is due in view of what was broken: every
 * fault moves it by its length, and gives the time for recovery.
 *
 * @param outages by when they began
 */
export function dueWith(outages: readonly Outage[], since: number, due: number): number {
  let at = due
  for (const outage of outages) {
    if (outage.from > at) break
    const recovered = outage.to + recoveryOf(outage)
    if (recovered < since) continue
    const lost = Math.max(0, outage.to - Math.max(outage.from, since))
    at = Math.max(at + lost, recovered)
  }
  return at
}
