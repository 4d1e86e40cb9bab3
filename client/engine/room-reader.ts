import { parseRoomDiff, parseRoomSnapshot, type Topics } from '../../protocol/index.ts'
import {
  isCurrent,
  membersOf,
  roomDeadline,
  stepRoom,
  UNKNOWN_ROOM,
  type RoomInput,
  type RoomMessage,
} from '../core/index.ts'
import type { Surroundings } from './port.ts'
import type { Subscriptions } from './subscriptions.ts'

/** Reads one room from its topics and tells what changes in it. */
export interface RoomReader {
  onMessage(topic: string, text: string): void
  /** Everything that is known of the room. */
  full(): RoomMessage
  connected(): void
  lost(): void
  /** Whether presence is fresh has changed. */
  onFreshness(): void
  close(): void
}

/** Options of {@link createRoomReader}. */
export interface RoomReaderOptions {
  readonly room: string
  readonly topics: Topics
  readonly subscriptions: Subscriptions
  readonly world: Surroundings
  readonly settleMs: number
  /** Whether there is a connection and a bridge behind it. */
  readonly isLive: () => boolean
  /** The user that this client says is in the room; null when it says no such thing. */
  readonly self: (room: string) => string | null
  readonly tell: (message: RoomMessage) => void
}

/** A room whose snapshot has not come for so long after SUBACK has none, in milliseconds. */
const NOTHING_AFTER_MS = 1500

/** Starts reading a room: events first, so that nothing falls between the snapshot and the diffs. */
export function createRoomReader(options: RoomReaderOptions): RoomReader {
  const { room, topics, subscriptions, world, settleMs, isLive, self, tell } = options
  const eventsTopic = topics.roomEvents(room)
  const snapshotTopic = topics.room(room)
  let view = UNKNOWN_ROOM
  let wasFresh = false
  let readsSnapshot = true
  let cancelTimer = (): void => {}
  let cancelNothing = (): void => {}

  subscriptions.add(eventsTopic)
  subscriptions.add(snapshotTopic, onGranted)

  function onGranted(): void {
    cancelNothing()
    if (!readsSnapshot) return
    cancelNothing = world.after(NOTHING_AFTER_MS, () => readsSnapshot && take({ type: 'nothing' }))
  }

  function take(input: RoomInput): void {
    const before = view
    const [next, change] = stepRoom(view, input, world.now(), settleMs)
    view = next
    if (change.gap) readAgain()
    schedule()
    const { joined, updated, left } = change
    const isSame = joined.length + updated.length + left.length === 0
    // From here on the members are known, or no longer are: that is no news of anybody.
    if (before.replica?.complete !== next.replica?.complete) {
      wasFresh = isFresh()
      tell(full())
    } else if (!isSame || before.replica?.size !== next.replica?.size || isFresh() !== wasFresh) {
      wasFresh = isFresh()
      tell({ ...head(), joined, updated, left })
    }
  }

  function readAgain(): void {
    if (readsSnapshot) return subscriptions.refresh(snapshotTopic)
    readsSnapshot = true
    subscriptions.add(snapshotTopic, onGranted)
  }

  /** A snapshot is a whole room at each change: it is read once, the diffs are followed. */
  function stopReading(): void {
    cancelNothing()
    if (!readsSnapshot) return
    readsSnapshot = false
    subscriptions.remove(snapshotTopic)
  }

  function schedule(): void {
    cancelTimer()
    const due = roomDeadline(view)
    if (due !== null) cancelTimer = world.after(due - world.now(), () => take({ type: 'timer' }))
  }

  function isFresh(): boolean {
    return isLive() && isCurrent(view)
  }

  function head(): RoomMessage {
    const size = (view.replica?.size ?? 0) + view.kept.size
    return { type: 'room', room, size, complete: view.replica?.complete ?? false, fresh: isFresh() }
  }

  function full(): RoomMessage {
    return { ...head(), members: [...membersOf(view).values()] }
  }

  function onFreshness(): void {
    if (isFresh() === wasFresh) return
    wasFresh = isFresh()
    tell(head())
  }

  return {
    full,
    onFreshness,
    onMessage(topic, text) {
      if (topic === eventsTopic) {
        const diff = parseRoomDiff(text)
        if (diff) take({ type: 'diff', diff })
      } else if (topic === snapshotTopic && readsSnapshot) {
        const snapshot = parseRoomSnapshot(text)
        if (!snapshot) return
        stopReading()
        take({ type: 'snapshot', snapshot })
      }
    },
    connected() {
      take({ type: 'reading', returning: self(room) })
      readAgain()
    },
    lost() {
      cancelNothing()
      take({ type: 'lost' })
    },
    close() {
      cancelTimer()
      cancelNothing()
      subscriptions.remove(eventsTopic)
      if (readsSnapshot) subscriptions.remove(snapshotTopic)
    },
  }
}
