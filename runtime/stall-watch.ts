import type { Cancel, Clock } from './clock.ts'

/** Tells when this very process was not running: stopped, suspended, or stuck in one long task. */
export interface StallWatch {
  /**
   * Looks now. To be called before anything is concluded from silence: after a stall the timer that
   * concludes may come before the timer that notices the stall.
   */
  check(): void
  close(): void
}

/** Options of {@link watchStalls}. */
export interface StallWatchOptions {
  readonly clock: Clock
  /** Called with the length of a stall in milliseconds. */
  readonly onStall: (ms: number) => void
  /** How often to look, in milliseconds. @default 100 */
  readonly intervalMs?: number
  /** How late a look may be before it counts as a stall, in milliseconds. @default 500 */
  readonly thresholdMs?: number
}

/** Watches for stalls by the lateness of a steady timer; a wall clock that is set forward counts too. */
export function watchStalls(options: StallWatchOptions): StallWatch {
  const { clock, onStall, intervalMs = 100, thresholdMs = 500 } = options
  let last = clock.now()
  let cancel: Cancel

  function check(): void {
    const now = clock.now()
    const late = now - last - intervalMs
    last = now
    if (late > thresholdMs) onStall(late)
  }

  function look(): void {
    check()
    cancel = clock.after(intervalMs, look)
  }

  cancel = clock.after(intervalMs, look)
  return { check, close: () => cancel() }
}
