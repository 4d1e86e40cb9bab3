import { isPassing, type RedisConnection } from '../../../runtime/redis/connection.ts'
import type { Keys } from './keys.ts'

/** What the parts of a Redis store share. */
export interface Context {
  readonly redis: RedisConnection
  readonly keys: Keys
  /** This store among all that write to this Redis: a word of its own, and of fixed length. */
  readonly owner: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly maxActivity: number
  readonly run: Run
}

/**
 * Runs something that Redis may be unable to do now, again and again until it can. A command whose
 * answer was lost may have been carried out: whatever is run has to bear that.
 *
 * @throws what Redis refuses for good; or when the store has been closed
 */
export type Run = <T>(attempt: () => Promise<T>) => Promise<T>

/** How soon a command is tried again, in milliseconds. */
const RETRY_MS = 50

/** Creates a {@link Run}. */
export function createRun(isClosed: () => boolean): Run {
  return async (attempt) => {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (isClosed() || !isPassing(error)) throw error
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }
}
