import type { Cancel, Clock } from '../runtime/clock.ts'
import type { SharedStore } from './store/store.ts'

/**
 * Whether anything may be concluded from the passing of time, where several bridges share a store.
 * Deadlines move only by a time in which none of them could hear: as long as one did, it acted on them
 * rightly. A store that does not answer counts as deafness of all, since nobody can act on what is heard.
 */
export interface Hearing {
  /** Looks at the store for the first time; resolves when its data is whole. */
  start(): Promise<void>
  /** From now on the broker is heard: the link is up, or a stall is over. */
  resume(): void
  /** The broker is not heard: the link is down. */
  interrupt(): void
  /** Whether the store answers, has its data, and nobody is moving deadlines. */
  readonly steady: boolean
  /** Resolves when steady. */
  whenSteady(): Promise<void>
  /** How many other bridges hear. */
  readonly others: number
  close(): void
}

/** Options of {@link createHearing}. */
export interface HearingOptions {
  readonly shared: SharedStore
  readonly clock: Clock
  /** Nobody could hear for this long: moves all deadlines by it. */
  readonly onDeaf: (ms: number) => Promise<void>
  /** The store lacks what bridges left in it: makes it good. */
  readonly onLacking: () => Promise<void>
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

/** Creates it; nothing is steady before the start. */
export function createHearing(options: HearingOptions): Hearing {
  const { shared, clock, onDeaf, onLacking, onBack, onError } = options
  let heardSince: number | null = null
  let steady = false
  let others = 0
  /** When the store fell silent; null while it answers. */
  let silentSince: number | null = null
  let isWhole = false
  let waiters: (() => void)[] = []
  let cancel: Cancel = () => {}
  let running: Promise<void> | undefined
  let again = false
  let closed = false

  // However short the silence is: what is asked next may find another store.
  shared.onLost(() => {
    silentSince ??= clock.now()
    settle(false)
  })

  function settle(isSteady: boolean): void {
    if (steady === isSteady) return
    steady = isSteady
    if (!steady) return
    options.onSteady()
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }

  /** Asks the store; what takes too long is noted as silence while it lasts. */
  async function ask<T>(question: () => Promise<T>): Promise<T> {
    const since = clock.now()
    const stop = clock.after(SILENT_MS, () => {
      silentSince ??= since
      settle(false)
    })
    try {
      return await question()
    } finally {
      stop()
    }
  }

  /** One look; resolves to how soon the next one is due. */
  async function look(): Promise<number> {
    const heardMs = heardSince === null ? null : clock.now() - heardSince
    const beat = await ask(() => shared.beat(heardMs))
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
    if (beat.deafMs > 0) {
      settle(false)
      await move(beat.deafMs)
      return 0
    }
    settle(!beat.paused)
    return beat.paused ? PAUSED_MS : BEAT_MS
  }

  async function checkData(): Promise<number> {
    settle(false)
    const data = await ask(() => shared.checkData())
    if (data === 'waiting') return PAUSED_MS
    if (data === 'lacking') {
      await onLacking()
      await shared.dataRestored()
    }
    isWhole = true
    return 0
  }

  /** Moves the deadlines, and lets nobody take this bridge for dead meanwhile. */
  async function move(ms: number): Promise<void> {
    const since = clock.now()
    let stop: Cancel = () => {}
    const renew = (): void => {
      stop = clock.after(4 * BEAT_MS, () => {
        shared.beat(0).then(renew, onError)
      })
    }
    renew()
    try {
      await ask(() => onDeaf(ms))
      // The store was gone once more.
      if (silentSince !== null) await onDeaf(clock.now() - since)
    } finally {
      stop()
    }
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
      lookAgain()
      await running
    },
    resume() {
      heardSince = clock.now()
      settle(false)
      lookAgain()
    },
    interrupt() {
      heardSince = null
    },
    get steady() {
      return steady
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
