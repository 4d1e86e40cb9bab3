import { setImmediate as afterReads } from 'node:timers/promises'
import type { Cancel, Clock } from '../runtime/clock.ts'
import { DeadlineQueue } from './store/deadline-queue.ts'
import type { Store } from './store/store.ts'

/** Looks at every user when its deadline comes. The stored deadline is the truth, the timer a reminder. */
export interface Deadlines {
  /** This bridge has set the deadline of a user, or has found that there is none. */
  notice(user: string, at: number | null): void
  /** Deadlines may have passed meanwhile. */
  look(): void
  /** While paused no deadline is acted upon: a bridge that cannot hear concludes nothing. */
  pause(): void
  resume(): void
  close(): void
}

/** Options of {@link createDeadlines}. */
export interface DeadlinesOptions {
  readonly store: Store
  readonly clock: Clock
  /** Called before anything is concluded from the passing of time. */
  readonly checkStall: () => void
  /** Asked before and after looking for whom there is something to conclude about. @default always */
  readonly mayAct?: () => boolean
  /** Other bridges set deadlines, too: how often to look for those, in milliseconds. @default never */
  readonly pollMs?: number
  /**
   * Other bridges act on the deadlines that they have set: on what they have not acted on for so long this one
   * does, in milliseconds. @default it acts on all at once
   */
  readonly othersAfterMs?: number
  /** Called when somebody is due, before anything is concluded. @default nothing is done */
  readonly prepare?: (() => Promise<void>) | undefined
  readonly onDue: (user: string) => Promise<unknown>
  readonly onError: (error: unknown) => void
}

/** Users that are looked at in one go, before other work gets its turn. */
const SLICE = 50

/** How soon a failed look is repeated, in milliseconds. */
const RETRY_MS = 1000

/** Creates the runner. */
export function createDeadlines(options: DeadlinesOptions): Deadlines {
  const { store, clock, checkStall, mayAct = () => true, prepare, onDue, onError } = options
  const { pollMs = Number.POSITIVE_INFINITY, othersAfterMs } = options
  /** Those that this bridge has set, where others have theirs. */
  const own = new DeadlineQueue()
  let armedFor = Number.POSITIVE_INFINITY
  let cancel: Cancel = () => {}
  let paused = 0
  let running = false
  let closed = false

  function arm(at: number): void {
    if (closed || at >= armedFor) return
    cancel()
    armedFor = at
    cancel = clock.after(Math.max(0, at - clock.now()), fire)
  }

  function fire(): void {
    armedFor = Number.POSITIVE_INFINITY
    if (running || closed) return
    running = true
    run()
      .finally(() => (running = false))
      .then(rearm)
      .catch((error: unknown) => {
        onError(error)
        arm(clock.now() + RETRY_MS)
      })
  }

  async function run(): Promise<void> {
    // After a stall timers come before sockets: first notice the stall, then read what has
    // arrived meanwhile, and only then conclude anything from silence.
    checkStall()
    await afterReads()
    while (paused === 0 && !closed && mayAct()) {
      const due = await findDue(clock.now())
      if (due.length === 0 || !mayAct()) return
      await prepare?.()
      if (paused > 0 || closed || !mayAct()) return
      for (const user of due) own.set(user, null)
      await Promise.all(due.map(onDue))
      await afterReads()
    }
  }

  async function findDue(now: number): Promise<readonly string[]> {
    if (othersAfterMs === undefined) return store.dueUsers(now, SLICE)
    const mine = own.due(now, SLICE)
    if (mine.length === SLICE) return mine
    return [...new Set([...mine, ...(await store.dueUsers(now - othersAfterMs, SLICE))])]
  }

  async function findNext(): Promise<number> {
    if (!mayAct()) return Number.POSITIVE_INFINITY
    const stored = (await store.nextDeadline()) ?? Number.POSITIVE_INFINITY
    if (othersAfterMs === undefined) return stored
    return Math.min(own.next() ?? Number.POSITIVE_INFINITY, stored + othersAfterMs)
  }

  async function rearm(): Promise<void> {
    if (paused > 0) return
    const at = Math.min(await findNext(), clock.now() + pollMs)
    if (at < Number.POSITIVE_INFINITY) arm(at)
  }

  return {
    notice(user, at) {
      if (othersAfterMs !== undefined) own.set(user, at)
      if (at !== null && paused === 0) arm(at)
    },
    look() {
      if (paused === 0) arm(clock.now())
    },
    pause() {
      paused++
    },
    resume() {
      paused--
      rearm().catch(onError)
    },
    close() {
      closed = true
      cancel()
    },
  }
}
