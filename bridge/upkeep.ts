import { setImmediate as afterReads } from 'node:timers/promises'
import type { Cancel, Clock } from '../runtime/clock.ts'
import type { StallWatch } from '../runtime/stall-watch.ts'
import type { Policy } from './core/index.ts'
import type { Publisher } from './publisher.ts'
import type { Roster } from './roster.ts'
import type { Store } from './store/store.ts'

/** The bridge's steady work: brokers that fall silent, and rooms that have been empty for long. */
export interface Upkeep {
  close(): void
}

/** Options of {@link createUpkeep}. */
export interface UpkeepOptions {
  readonly store: Store
  readonly publisher: Publisher
  readonly clock: Clock
  readonly policy: Policy
  readonly roster: Roster
  readonly stalls: StallWatch
  /** Whether the bridge's own link is up; from silence without one nothing follows. */
  readonly canHear: () => boolean
  /** Where bridges share a store: finishes what one that died left half done. */
  readonly finishAbandoned?: (() => Promise<void>) | undefined
  readonly onError: (error: unknown) => void
}

/** How often brokers are looked at, in milliseconds. */
const ROSTER_MS = 500

/** How often to look for what others left half done, in milliseconds. */
const ABANDONED_MS = 2000

/** Empty rooms that are cleared in one go. */
const SLICE = 100

/** Starts the upkeep. */
export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { store, publisher, clock, policy, roster, stalls, canHear, onError } = options
  const { retainedOfflineMs } = policy
  const sweepMs = Math.min(60_000, Math.max(ROSTER_MS, retainedOfflineMs / 4))
  const cancelRoster = repeat(clock, ROSTER_MS, lookAtBrokers, onError)
  const cancelSweep = repeat(clock, sweepMs, clearEmptyRooms, onError)
  const { finishAbandoned } = options
  const cancelAbandoned = finishAbandoned
    ? repeat(clock, ABANDONED_MS, finishAbandoned, onError)
    : undefined

  async function lookAtBrokers(): Promise<void> {
    // After a stall the heartbeats that arrived meanwhile are read first.
    stalls.check()
    await afterReads()
    if (canHear()) roster.tick()
  }

  async function clearEmptyRooms(): Promise<void> {
    while (canHear()) {
      const taken = await store.takeEmptyRooms(clock.now() - retainedOfflineMs, SLICE)
      // All at once: a room that somebody joins from here on is published after it was cleared.
      await Promise.all(taken.map(clearRoom))
      if (taken.length < SLICE) return
    }
  }

  async function clearRoom(room: string): Promise<void> {
    // What could not be cleared is an empty room again.
    if (!(await publisher.clearRoom(room))) await store.restoreRoom(room, 0, [])
  }

  return {
    close() {
      cancelRoster()
      cancelSweep()
      cancelAbandoned?.()
    },
  }
}

/** Runs again and again, each time a pause after the last run has ended. */
function repeat(
  clock: Clock,
  ms: number,
  run: () => Promise<void>,
  onError: (error: unknown) => void,
): Cancel {
  let closed = false
  let cancel: Cancel = clock.after(ms, look)
  function look(): void {
    run()
      .catch(onError)
      .finally(() => {
        if (!closed) cancel = clock.after(ms, look)
      })
  }
  return () => {
    closed = true
    cancel()
  }
}
