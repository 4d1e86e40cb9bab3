import type { Cancel, Clock } from '../../runtime/clock.ts'

/** Holds back what one client does, and keeps its order. */
export interface Holdback {
  /** Runs in so many milliseconds, and not before what was given before; at once when there is no need to wait. */
  run(waitMs: number, job: () => void): void
  /** Forgets what still waits; returns how much it was. */
  clear(): number
}

/** Creates what holds back one client. */
export function createHoldback(clock: Clock): Holdback {
  const waiting: { readonly at: number; readonly job: () => void }[] = []
  let cancel: Cancel | undefined

  function wake(): void {
    cancel = undefined
    const now = clock.now()
    for (let head = waiting[0]; head && head.at <= now; head = waiting[0]) {
      waiting.shift()
      head.job()
    }
    sleep()
  }

  function sleep(): void {
    const [head] = waiting
    if (head && !cancel) cancel = clock.after(Math.max(1, head.at - clock.now()), wake)
  }

  return {
    run(waitMs, job) {
      if (waitMs <= 0 && waiting.length === 0) return job()
      waiting.push({ at: clock.now() + waitMs, job })
      sleep()
    },
    clear() {
      cancel?.()
      cancel = undefined
      return waiting.splice(0).length
    },
  }
}
