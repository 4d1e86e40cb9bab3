import type { Leave, Member } from '../../protocol/index.ts'
import type { Activity, ActivityLog } from '../activity/activity.ts'
import type { UserState } from '../core/index.ts'

/** A user's state and its revision, by which a later writer notices that it was overtaken. */
export interface StoredUser {
  readonly state: UserState
  readonly revision: number
  /** The documents that were applied last; only of a store that bridges share. */
  readonly heard?: HeardLog
}

/** Which documents of a user's clients were applied, so that another bridge knows them again. */
export type HeardLog = readonly HeardEntry[]

/** What was applied of one client: of what a broker of ours has stamped, or of what nobody has. */
export type HeardEntry = HeardStamps | HeardCount

/** The documents of a client that one broker has stamped. */
export interface HeardStamps {
  /** What stands for the client. */
  readonly client: string
  /** What stands for the broker. */
  readonly broker: string
  /** What has a stamp up to this one counts as applied. */
  readonly floor: number
  /** What stands for each of the newest connections, and its highest stamp; in the order of the stamps. */
  readonly newest: readonly (readonly [connection: string, stamp: number])[]
  /** When the last one was applied, in milliseconds since the epoch. */
  readonly at: number
}

/** The number of documents of a client that nobody has stamped. */
export interface HeardCount {
  /** What stands for the client. */
  readonly client: string
  readonly count: number
  /** What stands for the last document. */
  readonly last: string
  /** When the count began, and when the last one was applied, in milliseconds since the epoch. */
  readonly born: number
  readonly at: number
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
  /** What is remembered of this step, in the same act. */
  readonly activity?: readonly Activity[]
  readonly heard?: HeardLog
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
  /** Whether the room is no larger than the limit that was given, so that readers are told its members. */
  readonly complete: boolean
  /** The members, in the order of joining; null when neither readers nor `whole` ask for them. */
  readonly members: readonly Member[] | null
  /** What changed since the last flush, above the limit too. */
  readonly joined: readonly Member[]
  readonly updated: readonly Member[]
  readonly left: readonly Leave[]
  /** Whether it is unknown what was published last, so that everything has to be published again. */
  readonly whole: boolean
  /** Users who are not in the room but whose topics may still say so. */
  readonly strays: readonly string[]
}

/** A room that is forgotten. */
export interface EmptyRoom {
  readonly room: string
  /** The last one that was published. */
  readonly version: number
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
  /**
   * This revision was published: clears the mark if the user is still at it. False when another bridge
   * has written since, so that it is unknown what readers got last: the user has to be published again.
   */
  clearUser(user: string, revision: number): Promise<boolean>

  /** Rooms whose topics have to be published. */
  dirtyRooms(): Promise<readonly string[]>
  roomSize(room: string): Promise<number>
  /**
   * Takes what has changed since the last flush and gives it a version: `max(last + 1, now)`.
   * Undefined when nothing has changed. The room stays dirty until it is cleared. While another bridge
   * publishes the room this waits.
   */
  flushRoom(room: string, now: number, announceLimit: number): Promise<RoomFlush | undefined>
  /**
   * This version was published: clears the mark if the room is still at it. False when another bridge
   * took this one for dead and has published the room since: it has to be doubted.
   */
  clearRoom(room: string, version: number): Promise<boolean>
  /** Tells a store that knows nothing of a room what readers were last shown of it. */
  restoreRoom(room: string, version: number, shown: readonly Member[]): Promise<void>
  /**
   * Marks a room of which it is unknown what was published last: the next flush publishes the whole,
   * and clears the topics of those who left in a flush that was never cleared, and of these strays.
   */
  doubtRoom(room: string, strays?: readonly string[]): Promise<void>
  /** Rooms that have been empty since before the given time; they are forgotten by this call. */
  takeEmptyRooms(before: number, limit: number): Promise<readonly EmptyRoom[]>
  /** Every room of which anything is known. */
  allRooms(): Promise<readonly string[]>
  /** The members of a room as they are now, in the order of joining. */
  roomMembers(room: string): Promise<readonly Member[]>

  /** What is remembered of a user's coming and going since a time, and a while before. */
  userActivity(user: string, since: number): Promise<ActivityLog>
  /** What is remembered of a room's joins and leaves since a time, and a while before. */
  roomActivity(room: string, since: number): Promise<ActivityLog>
  /** There when other bridges may work on the same store. */
  readonly shared?: SharedStore
  close(): Promise<void>
}

/** What bridges on one store have to tell each other. Every time is the store's own. */
export interface SharedStore {
  /**
   * Says for how long this bridge has heard its broker without a break, or that it does not (null).
   * Resolves only when the store answers.
   *
   * @param bridge its name
   */
  beat(heardMs: number | null, bridge: string): Promise<Beat>
  /** Bridges that have beaten once and do so no longer, nor does any other of that name. */
  silentBridges(): Promise<readonly SilentBridge[]>
  /** Everybody knows that a silent bridge has gone. */
  forgetBridge(store: string): Promise<void>
  /** The deadlines were moved, as a beat has asked for. */
  endPause(): Promise<void>
  /**
   * Whether the store has kept all that bridges left in it: it was not started anew, emptied or
   * replaced. What it lacks is given to one bridge to make good; the others wait.
   *
   * @param mayClaim whether it may be given to this one
   */
  checkData(mayClaim: boolean): Promise<DataCheck>
  /** What the store lacks is still being made good. */
  renewClaim(): Promise<void>
  /** Calls back when the store is lost from sight: it may come back without its data. */
  onLost(listener: () => void): void
  /** What the store lacked has been made good: `whole`, unless it has been lost again meanwhile. */
  dataRestored(): Promise<DataCheck>
  /** What the store lacks could not be made good here; another bridge may try. */
  leaveData(): Promise<void>
  /**
   * Finishes what bridges that died left half done inside the store, and tells what they have not
   * published.
   */
  takeAbandoned(): Promise<{ readonly users: readonly string[]; readonly rooms: readonly string[] }>
  /** Brokers of ours that users have connections of. */
  brokers(): Promise<readonly string[]>
  /** The connections of a broker were ended because it was silent. */
  markLost(broker: string): Promise<void>
  /** Whether that has happened to a broker since the last call. */
  takeLost(broker: string): Promise<boolean>
}

/** Whether a store has its data. */
export type DataCheck =
  /** It has; the word is another one whenever something had to be made good. */
  | { readonly state: 'whole'; readonly data: string }
  /** This bridge has to make it good, or another one. */
  | { readonly state: 'lacking' | 'waiting' }

/** A bridge that may have died. */
export interface SilentBridge {
  /** By which its store was known: another one each time it was started. */
  readonly store: string
  readonly bridge: string
}

/** What a bridge learns of the others. */
export interface Beat {
  /** How many other bridges hear. */
  readonly others: number
  /** Another bridge is moving the deadlines; until it has done so nobody may act on them. */
  readonly paused: boolean
  /** For how long no bridge has heard: this one has to move the deadlines by it. In milliseconds. */
  readonly deafMs: number
  /** It reached the store so late that it does not count. */
  readonly late: boolean
}
