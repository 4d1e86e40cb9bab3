import { setImmediate as turn } from 'node:timers/promises'
import type { Cancel, Clock } from '../../runtime/clock.ts'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/** Real turns of the event loop after each timer, so that what it began comes to its end. */
const TURNS = 20

/** Timers at one moment; more is a timer that sets itself again and again. */
const MAX_AT_ONCE = 10_000

/** A clock that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): Cancel {
    // As the system's clock: in whole milliseconds, and never early.
    const timer = { at: Math.ceil(this.#now + ms), run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers that wait to be run. */
  get pending(): number {
    return this.#timers.size
  }

  /** Lets the time pass: every timer runs at its time, and what it begins is over before the next one. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms
    let atOnce = 0
    await settle()
    for (let timer = this.#next(); timer && timer.at <= target; timer = this.#next()) {
      atOnce = timer.at > this.#now ? 0 : atOnce + 1
      if (atOnce > MAX_AT_ONCE) throw new Error('a timer sets itself again without any pause')
      this.#timers.delete(timer)
      this.#now = Math.max(this.#now, timer.at)
      timer.run()
      await settle()
    }
    this.#now = target
  }

  /** Lets the time pass while nothing runs, as when the process is stopped and continued. */
  jump(ms: number): void {
    this.#now += ms
  }

  /** The earliest timer; of two at one time the one that was set first. */
  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) if (!first || timer.at < first.at) first = timer
    return first
  }
}

/** Lets promises and immediates that are under way come to their end. */
export async function settle(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await turn()
}
