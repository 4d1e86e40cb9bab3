import { setImmediate as afterReads } from 'node:timers/promises'
import type { Cancel, Clock } from '../runtime/clock.ts'
import type { StallWatch } from '../runtime/stall-watch.ts'
import type { Policy } from './core/index.ts'
import type { Publisher } from './publisher.ts'
import type { RollCall } from './roll-call.ts'
import type { EmptyRoom, Store } from './store/store.ts'

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
  readonly rollCall: RollCall
  readonly stalls: StallWatch
  /** Whether the bridge's own link is up. */
  readonly isUp: () => boolean
  /** Whether anything follows from the silence of brokers: the link is up, and so is the store. */
  readonly canJudge: () => boolean
  /** Where bridges share a store: finishes what one that died left half done. */
  readonly finishAbandoned?: (() => Promise<void>) | undefined
  /** Where each bridge has a broker of its own: sees whether another one has taken that for lost. */
  readonly answerLoss?: (() => Promise<void>) | undefined
  readonly onError: (error: unknown) => void
}

/** How often brokers are looked at, in milliseconds. */
const ROSTER_MS = 500

/** How often to look for what others left half done, in milliseconds. */
const ABANDONED_MS = 2000

/** How often to look whether the bridge's own broker was taken for lost, in milliseconds. */
const LOSS_MS = 1000

/** Empty rooms that are cleared in one go. */
const SLICE = 100

/** Starts the upkeep. */
export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { store, publisher, clock, policy, rollCall, stalls, isUp, canJudge, onError } = options
  const { retainedOfflineMs } = policy
  const sweepMs = Math.min(60_000, Math.max(ROSTER_MS, retainedOfflineMs / 4))
  const cancelRoster = repeat(clock, ROSTER_MS, lookAtBrokers, onError)
  const cancelSweep = repeat(clock, sweepMs, clearEmptyRooms, onError)
  const { finishAbandoned, answerLoss } = options
  const cancelAbandoned = finishAbandoned && repeat(clock, ABANDONED_MS, finishAbandoned, onError)
  const cancelLoss = answerLoss && repeat(clock, LOSS_MS, answerLoss, onError)

  async function lookAtBrokers(): Promise<void> {
    // After a stall the heartbeats that arrived meanwhile are read first.
    stalls.check()
    await afterReads()
    if (canJudge()) rollCall.look()
  }

  async function clearEmptyRooms(): Promise<void> {
    while (isUp()) {
      const taken = await store.takeEmptyRooms(clock.now() - retainedOfflineMs, SLICE)
      // All at once: a room that somebody joins from here on is published after it was cleared.
      await Promise.all(taken.map(clearRoom))
      if (taken.length < SLICE) return
    }
  }

  async function clearRoom({ room, version }: EmptyRoom): Promise<void> {
    // What could not be cleared is an empty room again.
    if (!(await publisher.clearRoom(room, version))) await store.restoreRoom(room, version, [])
  }

  return {
    close() {
      cancelRoster()
      cancelSweep()
      cancelAbandoned?.()
      cancelLoss?.()
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
