import type { Cancel, Clock } from '../../runtime/clock.ts'
import type { DataCheck, SharedStore } from '../store/store.ts'

/**
 * Whether anything may be concluded from the passing of time, where several bridges share a store.
 * Deadlines move only by a time in which none of them could hear: as long as one did, it acted on them
 * rightly. A store that does not answer counts as deafness of all, since nobody can act on what is heard.
 */
export interface Hearing {
  /** Looks at the store for the first time; resolves when its data is whole, or cannot be made so in time. */
  start(): Promise<void>
  /** From now on the broker is heard: the link is up, or a stall is over. */
  resume(): void
  /** The broker is not heard: the link is down. */
  interrupt(): void
  /** Whether the store answers, has its data, and nobody is moving deadlines. */
  readonly steady: boolean
  /** Since when it was not the last time, in milliseconds since the epoch. */
  readonly unsteadySince: number
  /** Resolves when steady. */
  whenSteady(): Promise<void>
  /** How many other bridges hear. */
  readonly others: number
  close(): void
}

/** Options of {@link createHearing}. */
export interface HearingOptions {
  readonly id: string
  readonly shared: SharedStore
  readonly clock: Clock
  /** Nobody could hear for this long: moves all deadlines by it. */
  readonly onDeaf: (ms: number) => Promise<void>
  /** The store lacks what bridges left in it: makes it good. */
  readonly onLacking: () => Promise<void>
  /** The store has been made good, here or by another bridge. */
  readonly onRestored: () => void
  /** The store does not answer since then, or its connection is lost. */
  readonly onSilent: (since: number) => void
  /** The store answers again, after this long without. */
  readonly onBack: (ms: number) => void
  /** It is steady again. */
  readonly onSteady: () => void
  readonly onError: (error: unknown) => void
}

/** How often a bridge says that it hears, in milliseconds. */
const BEAT_MS = 250

/** A store that has not answered for this long is gone, in milliseconds. */
const SILENT_MS = 1500

/** How often one looks whether another bridge has done its work, in milliseconds. */
const PAUSED_MS = 100

/** How often one looks whether the store still has its data, in milliseconds. */
const CHECK_MS = 1000

/** Who could not make the store good lets others try for this long, in milliseconds. */
const YIELD_MS = 1000

/** A bridge that is new lets others make the store good: at first, and while there are some, in milliseconds. */
const NEW_MS = 1000
const NEW_AMONG_OTHERS_MS = 5000

/** How often who makes the store good says that it is at it, in milliseconds. */
const RENEW_MS = 2000

/** How long a start waits for a store that is being made good, in milliseconds. */
const START_MS = 10_000

/** Creates it; nothing is steady before the start. */
export function createHearing(options: HearingOptions): Hearing {
  const { id, shared, clock, onDeaf, onLacking, onRestored, onBack, onError } = options
  let heardSince: number | null = null
  let steady = false
  let unsteadySince = clock.now()
  let others = 0
  /** When the store fell silent; null while it answers. */
  let silentSince: number | null = null
  let isWhole = false
  /** Which data this bridge has seen. */
  let seen: string | undefined
  let checkedAt = -Infinity
  let startedAt = -Infinity
  let isCut = false
  let yieldsUntil = -Infinity
  let hasFailed = false
  let waiters: (() => void)[] = []
  let cancel: Cancel = () => {}
  let running: Promise<void> | undefined
  let again = false
  let closed = false

  // However short the silence is: what is asked next may find another store.
  shared.onLost(() => fallSilent(clock.now()))

  function fallSilent(since: number): void {
    if (silentSince === null) options.onSilent(since)
    silentSince ??= since
    settle(false)
  }

  function settle(isSteady: boolean): void {
    if (steady === isSteady) return
    steady = isSteady
    if (!steady) {
      unsteadySince = Math.min(silentSince ?? Infinity, clock.now())
      return
    }
    options.onSteady()
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }

  /** Asks the store; what takes too long is noted as silence while it lasts. */
  async function ask<T>(question: () => Promise<T>): Promise<T> {
    const since = clock.now()
    const stop = clock.after(SILENT_MS, () => fallSilent(since))
    try {
      return await question()
    } finally {
      stop()
    }
  }

  /** One look; resolves to how soon the next one is due. */
  async function look(): Promise<number> {
    const heardMs = heardSince === null ? null : clock.now() - heardSince
    const beat = await ask(() => shared.beat(heardMs, id))
    others = beat.others
    if (silentSince !== null) {
      const ms = clock.now() - silentSince
      silentSince = null
      isWhole = false
      if (heardSince !== null) heardSince = clock.now()
      onBack(ms)
      return 0
    }
    if (beat.late) return 0
    if (!isWhole) return checkData()
    if (clock.now() - checkedAt >= CHECK_MS && !(await hasData())) {
      silentSince = clock.now()
      settle(false)
      return 0
    }
    if (beat.deafMs > 0) {
      settle(false)
      await move(beat.deafMs)
      return 0
    }
    settle(!beat.paused)
    return beat.paused ? PAUSED_MS : BEAT_MS
  }

  async function hasData(): Promise<boolean> {
    const check = await ask(() => shared.checkData(false))
    checkedAt = clock.now()
    return check.state === 'whole' && check.data === seen
  }

  async function checkData(): Promise<number> {
    settle(false)
    let check = await ask(() => shared.checkData(mayClaim()))
    if (check.state === 'waiting') return PAUSED_MS
    if (check.state === 'lacking') check = await makeGood()
    if (check.state !== 'whole') return PAUSED_MS
    if (seen !== undefined && seen !== check.data) onRestored()
    seen = check.data
    checkedAt = clock.now()
    isWhole = true
    return 0
  }

  /** Whether this bridge knows what the store should have: from its broker, and by having heard. */
  function mayClaim(): boolean {
    const now = clock.now()
    if (isCut || now < yieldsUntil) return false
    if (seen !== undefined) return true
    return now - startedAt >= (others > 0 ? NEW_AMONG_OTHERS_MS : NEW_MS)
  }

  async function makeGood(): Promise<DataCheck> {
    try {
      await whileRepeating(RENEW_MS, () => shared.renewClaim(), onLacking)
      return await shared.dataRestored()
    } catch (error) {
      yieldsUntil = clock.now() + YIELD_MS
      await shared.leaveData()
      throw error
    }
  }

  /** Does something, and something else again and again meanwhile. */
  async function whileRepeating(
    ms: number,
    repeat: () => Promise<unknown>,
    work: () => Promise<void>,
  ): Promise<void> {
    let isOver = false
    let stop: Cancel = () => {}
    const repeatLater = (): void => {
      if (isOver) return
      stop = clock.after(ms, () => {
        repeat().then(repeatLater, onError)
      })
    }
    repeatLater()
    try {
      await work()
    } finally {
      isOver = true
      stop()
    }
  }

  /** Moves the deadlines, and lets nobody take this bridge for dead meanwhile. */
  async function move(ms: number): Promise<void> {
    const since = clock.now()
    await whileRepeating(
      4 * BEAT_MS,
      () => shared.beat(0, id),
      async () => {
        await ask(() => onDeaf(ms))
        // The store was gone once more.
        if (silentSince !== null) await onDeaf(clock.now() - since)
      },
    )
    await shared.endPause()
  }

  async function run(): Promise<void> {
    let pause = 0
    do {
      again = false
      try {
        pause = await look()
      } catch (error) {
        if (closed) return
        onError(error)
        hasFailed = true
        pause = BEAT_MS
      }
    } while ((again || pause === 0) && !closed)
    if (!closed) cancel = clock.after(pause, lookAgain)
  }

  function lookAgain(): void {
    if (closed) return
    cancel()
    again = true
    running ??= run().finally(() => (running = undefined))
  }

  return {
    async start() {
      startedAt = clock.now()
      lookAgain()
      await running
      const isLate = (): boolean => clock.now() - startedAt >= START_MS
      while (!isWhole && !hasFailed && !closed && !isLate()) {
        await new Promise<void>((resolve) => void clock.after(PAUSED_MS, resolve))
      }
    },
    resume() {
      isCut = false
      heardSince = clock.now()
      settle(false)
      lookAgain()
    },
    interrupt() {
      isCut = true
      heardSince = null
    },
    get steady() {
      return steady
    },
    get unsteadySince() {
      return unsteadySince
    },
    whenSteady: () =>
      steady || closed
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiters.push(resolve)
          }),
    get others() {
      return others
    },
    close() {
      closed = true
      cancel()
    },
  }
}
