import { setImmediate as afterReads } from 'node:timers/promises'
import type { Cancel, Clock } from '../runtime/clock.ts'
import type { Store } from './store/store.ts'

/** Looks at every user when its deadline comes. The stored deadline is the truth, the timer a reminder. */
export interface Deadlines {
  /** There may be an earlier deadline than the one that is waited for. */
  notice(at: number): void
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
  const { pollMs = Number.POSITIVE_INFINITY } = options
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
      const due = await store.dueUsers(clock.now(), SLICE)
      if (due.length === 0 || !mayAct()) return
      await prepare?.()
      if (paused > 0 || closed || !mayAct()) return
      await Promise.all(due.map(onDue))
      await afterReads()
    }
  }

  async function rearm(): Promise<void> {
    if (paused > 0) return
    const next = (mayAct() ? await store.nextDeadline() : null) ?? Number.POSITIVE_INFINITY
    const at = Math.min(next, clock.now() + pollMs)
    if (at < Number.POSITIVE_INFINITY) arm(at)
  }

  return {
    notice(at) {
      if (paused === 0) arm(at)
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
