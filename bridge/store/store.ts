import type { Leave, Member } from '../../protocol/index.ts'
import type { UserState } from '../core/index.ts'

/** A user's state and its revision, by which a later writer notices that it was overtaken. */
export interface StoredUser {
  readonly state: UserState
  readonly revision: number
}

/** What one step changes. */
export interface UserSave {
  readonly state: UserState
  /** The revision that was loaded; 0 when there was none. */
  readonly expected: number
  /** When the user has to be looked at next, in milliseconds since the epoch; null: never. */
  readonly deadline: number | null
  /** Whether the user's own topics have to be published. */
  readonly dirty: boolean
  readonly rooms: readonly RoomSave[]
}

/** A user's membership of one room after a step; null with the leave when it is over. */
export type RoomSave =
  | { readonly room: string; readonly member: Member; readonly leave: null }
  | { readonly room: string; readonly member: null; readonly leave: Leave }

/** What has to be published of one room. */
export interface RoomFlush {
  readonly room: string
  readonly version: number
  readonly previous: number
  readonly size: number
  /** The members, in the order of joining; null above the limit that was given. */
  readonly members: readonly Member[] | null
  /** What changed since the last flush, above the limit too. */
  readonly joined: readonly Member[]
  readonly updated: readonly Member[]
  readonly left: readonly Leave[]
  /** Whether it is unknown what was published last, so that everything has to be published again. */
  readonly whole: boolean
}

/**
 * Where presence is kept. Every write is a compare-and-set, so that several bridges can work on one
 * store. A dirty mark is set in the same act as the change it stands for, and cleared only after the
 * change was published and if nothing has changed since: what a dying bridge leaves undone another
 * one finds.
 */
export interface Store {
  loadUser(user: string): Promise<StoredUser | undefined>
  /** Stores a step's outcome; the new revision, or undefined when somebody else was faster. */
  saveUser(save: UserSave): Promise<number | undefined>
  /** Forgets a user; false when somebody else was faster. */
  removeUser(user: string, revision: number): Promise<boolean>
  /** Users whose deadline has passed. */
  dueUsers(now: number, limit: number): Promise<readonly string[]>
  /** The earliest deadline of all; null when there is none. */
  nextDeadline(): Promise<number | null>
  /** Users with a deadline before the given time, to move the deadlines when the observer was deaf. */
  usersWithDeadline(before: number): Promise<readonly string[]>
  /** Users with a connection that this broker announced (null: none of our brokers). */
  usersOfBroker(broker: string | null): Promise<readonly string[]>
  /** Every user of whom anything is known. */
  allUsers(): Promise<readonly string[]>
  dirtyUsers(): Promise<readonly string[]>
  /** Clears the mark if the user is still at this revision. */
  clearUser(user: string, revision: number): Promise<void>

  /** Rooms whose topics have to be published. */
  dirtyRooms(): Promise<readonly string[]>
  roomSize(room: string): Promise<number>
  /**
   * Takes what has changed since the last flush and gives it a version: `max(last + 1, now)`.
   * Undefined when nothing has changed. The room stays dirty until it is cleared.
   */
  flushRoom(room: string, now: number, announceLimit: number): Promise<RoomFlush | undefined>
  /** Clears the mark if the room is still at this version. */
  clearRoom(room: string, version: number): Promise<void>
  /** Tells a store that knows nothing of a room what readers were last shown of it. */
  restoreRoom(room: string, version: number, shown: readonly Member[]): Promise<void>
  /** Marks a room of which it is unknown what was published last: the next flush publishes the whole. */
  doubtRoom(room: string): Promise<void>
  /** Rooms that have been empty since before the given time; they are forgotten by this call. */
  takeEmptyRooms(before: number, limit: number): Promise<readonly string[]>
  /** Every room of which anything is known. */
  allRooms(): Promise<readonly string[]>
  /** The members of a room as they are now, in the order of joining. */
  roomMembers(room: string): Promise<readonly Member[]>
  close(): Promise<void>
}
