/** Cancels what was set; harmless when it has already run. */
export type Cancel = () => void

/** Where time comes from. The system's at the edge, a manual one in tests. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs once after a delay in milliseconds; never keeps the process alive. */
  after(ms: number, run: () => void): Cancel
}

/** Node clamps longer timers to 1 ms, so a longer wait is cut short and the caller looks again. */
const MAX_TIMER_MS = 2_147_483_647

/** The system's clock. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, MAX_TIMER_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
