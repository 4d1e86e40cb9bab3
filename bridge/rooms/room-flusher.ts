import type { Cancel, Clock } from '../../runtime/clock.ts'
import { restAfterFlush, type RoomPace } from '../core/index.ts'
import type { Sharing } from '../sharing/sharing.ts'
import type { Publisher } from '../publisher.ts'
import type { Store } from '../store/store.ts'

/** Publishes rooms in batches: at once when a room was quiet, then at a pace that grows with its size. */
export interface RoomFlusher {
  /** The room has changed in the store. */
  notify(room: string): void
  /** Publishes everything that is due or waiting, now. */
  flushAll(): Promise<void>
  readonly flushed: number
  /** Stops the timers; what is waiting stays dirty in the store. */
  close(): void
}

/** Options of {@link createRoomFlusher}. */
export interface RoomFlusherOptions {
  readonly store: Store
  readonly publisher: Publisher
  readonly clock: Clock
  readonly pace: RoomPace
  /** Where bridges share a store: whether what it says may be shown. */
  readonly sharing?: Pick<Sharing, 'hearing' | 'whenTold'> | undefined
  /** A dependency failed; the room stays dirty. */
  readonly onError: (error: unknown) => void
}

/** How soon a failed flush is repeated, in milliseconds. */
const RETRY_MS = 1000

/** A room that is resting, or waiting for its next flush. */
interface Schedule {
  cancel: Cancel
  restsUntil: number
  waiting: boolean
}

/** Creates the flusher. */
export function createRoomFlusher(options: RoomFlusherOptions): RoomFlusher {
  const { store, publisher, clock, pace, sharing, onError } = options
  const schedules = new Map<string, Schedule>()
  let flushed = 0
  let closed = false

  function notify(room: string): void {
    if (closed) return
    const schedule = schedules.get(room)
    if (schedule?.waiting) return
    waitFor(room, schedule ? Math.max(0, schedule.restsUntil - clock.now()) : 0)
  }

  function waitFor(room: string, ms: number): void {
    if (closed) return
    schedules.get(room)?.cancel()
    const cancel = clock.after(ms, () => run(room))
    schedules.set(room, { cancel, restsUntil: 0, waiting: true })
  }

  function run(room: string): void {
    flush(room).catch((error: unknown) => {
      onError(error)
      waitFor(room, RETRY_MS)
    })
  }

  async function flush(room: string): Promise<void> {
    await sharing?.whenTold()
    const now = clock.now()
    const size = await store.roomSize(room)
    rest(room, now, restAfterFlush(size, pace))
    const change = await store.flushRoom(room, now, pace.announceLimit)
    if (!change) return
    flushed++
    const { version, joined, updated, members } = change
    if (sharing?.hearing.steady === false) {
      // It may come from a store that has lost the rest of the room.
      await store.doubtRoom(room)
      notify(room)
    } else if (!(await publisher.publishRoom(change))) {
      // What readers got is unknown: the next flush says everything again.
      await store.doubtRoom(room)
    } else if (!(await store.clearRoom(room, version))) {
      // Another bridge has published the room since, and what it cleared may have been shown again.
      const shown = [...joined, ...updated, ...(members ?? [])]
      await store.doubtRoom(room, [...new Set(shown.map(({ user }) => user))])
      notify(room)
    }
  }

  function rest(room: string, now: number, ms: number): void {
    schedules.get(room)?.cancel()
    if (closed) return
    const cancel = clock.after(ms, () => schedules.delete(room))
    schedules.set(room, { cancel, restsUntil: now + ms, waiting: false })
  }

  return {
    notify,
    get flushed() {
      return flushed
    },
    async flushAll() {
      for (const room of await store.dirtyRooms()) await flush(room)
    },
    close() {
      closed = true
      for (const { cancel } of schedules.values()) cancel()
      schedules.clear()
    },
  }
}
