/** How much somebody may do in how much time. */
export interface RatePolicy {
  readonly perSecond: number
  /** How much of it at once, in seconds. */
  readonly burstSeconds: number
  /** How far ahead of the rate somebody may get before it is a flood, in seconds. */
  readonly patienceSeconds: number
}

/** Rates by who it is. */
export interface Rates {
  /**
   * Somebody does something now.
   *
   * @returns in how many milliseconds it may be done; undefined when it is a flood, and then it does not count
   */
  take(who: string, now: number, cost?: number): number | undefined
  /** What is done costs more than was taken: later takes wait for it. */
  charge(who: string, now: number, cost: number): void
  /** What was taken is not done after all. */
  giveBack(who: string, cost: number): void
  /** Of how many is anything remembered. */
  readonly size: number
}

/** How often those who have kept to the rate are forgotten, in milliseconds. */
const FORGET_MS = 10_000

/**
 * The generic cell rate algorithm: one number for each, the time by which everything that it did would have
 * been done at the rate. (ITU-T I.371, A.)
 */
export function createRates(policy: RatePolicy): Rates {
  const intervalMs = 1000 / policy.perSecond
  const burstMs = 1000 * policy.burstSeconds
  const patienceMs = 1000 * policy.patienceSeconds
  const dueByWho = new Map<string, number>()
  let forgottenAt = 0

  function forget(now: number): void {
    if (now - forgottenAt < FORGET_MS) return
    forgottenAt = now
    for (const [who, due] of dueByWho) if (due <= now) dueByWho.delete(who)
  }

  return {
    take(who, now, cost = 1) {
      forget(now)
      const due = Math.max(now, dueByWho.get(who) ?? 0) + cost * intervalMs
      const waitMs = due - now - burstMs
      if (waitMs > patienceMs) return undefined
      dueByWho.set(who, due)
      return Math.max(0, waitMs)
    },
    charge(who, now, cost) {
      dueByWho.set(who, Math.max(now, dueByWho.get(who) ?? 0) + cost * intervalMs)
    },
    giveBack(who, cost) {
      const due = dueByWho.get(who)
      if (due !== undefined) dueByWho.set(who, due - cost * intervalMs)
    },
    get size() {
      return dueByWho.size
    },
  }
}
