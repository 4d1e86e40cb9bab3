import type { FromEngine } from '../core/index.ts'

/** The way back to one page. */
export interface Port {
  send(message: FromEngine): void
}

/** The world as an engine sees it. */
export interface Surroundings {
  now(): number
  random(): number
  /** Calls back after so many milliseconds; the result cancels it. */
  after(ms: number, callback: () => void): () => void
}

/** The browser's own clock, dice and timers. */
export const browserSurroundings: Surroundings = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
