import type { Clock } from '../../runtime/clock.ts'

/** Lets a number of inputs be worked on at the same time, and counts those that wait. */
export interface Window {
  /** Work has begun; resolves when the next input may come. */
  admit(work: Promise<unknown>): Promise<void>
  /** Inputs that are not finish. */
  readonly open: number
}

/** Inputs that are worked on at the same time: what lies between is the store's round trips. */
const WIDTH = 256

/** How long at most the next input is held back, in milliseconds. */
const HOLD_MS = 200

/**
 * Creates a window. While the store does not answer nothing is held back, since a link that is not
 * read from for long breaks.
 */
export function createWindow(clock: Clock, isSteady: () => boolean): Window {
  let open = 0
  let held: (() => void)[] = []

  function finish(): void {
    open--
    if (open < WIDTH) held.shift()?.()
  }

  return {
    async admit(work) {
      open++
      work.then(finish, finish)
      if (open < WIDTH || !isSteady()) return
      await new Promise<void>((resolve) => {
        const release = (): void => {
          cancel()
          held = held.filter((one) => one !== release)
          resolve()
        }
        const cancel = clock.after(HOLD_MS, release)
        held.push(release)
      })
    },
    get open() {
      return open
    },
  }
}
