import type { Member } from '../../protocol/index.ts'
import { ActivityRing } from '../activity/activity-ring.ts'
import type { ActivityLog } from '../activity/activity.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { RoomRecord } from './room-record.ts'
import type { EmptyRoom, RoomFlush, Store, StoredUser, UserSave } from './store.ts'

/** Options of {@link createMemoryStore}. */
export interface MemoryStoreOptions {
  /** Milliseconds since the epoch; for since when a room is empty, and since when activity is remembered. */
  readonly now: () => number
  /** Comings and goings that are remembered. @default 100000 */
  readonly maxActivity?: number
}

/** The embedded store: everything in this process, gone with it. */
export function createMemoryStore(options: MemoryStoreOptions): Store {
  return new MemoryStore(options)
}

class MemoryStore implements Store {
  readonly #users = new Map<string, StoredUser>()
  readonly #rooms = new Map<string, RoomRecord>()
  readonly #deadlines = new DeadlineQueue()
  /** By the revision that set the mark. */
  readonly #dirtyUsers = new Map<string, number>()
  readonly #dirtyRooms = new Set<string>()
  readonly #activity: ActivityRing
  readonly #now: () => number

  constructor({ now, maxActivity = 100_000 }: MemoryStoreOptions) {
    this.#now = now
    this.#activity = new ActivityRing(maxActivity, now())
  }

  async loadUser(user: string): Promise<StoredUser | undefined> {
    return this.#users.get(user)
  }

  async saveUser({
    state,
    expected,
    deadline,
    dirty,
    rooms,
    activity = [],
  }: UserSave): Promise<number | undefined> {
    const { user } = state
    if ((this.#users.get(user)?.revision ?? 0) !== expected) return undefined
    const revision = expected + 1
    this.#users.set(user, { state, revision })
    this.#deadlines.set(user, deadline)
    if (dirty) this.#dirtyUsers.set(user, revision)
    for (const { room, member, leave } of rooms) {
      const record = this.#room(room)
      record.set(user, member, leave)
      record.emptySince = record.size === 0 ? this.#now() : null
      this.#dirtyRooms.add(room)
    }
    for (const entry of activity) this.#activity.add(entry)
    return revision
  }

  async removeUser(user: string, revision: number): Promise<boolean> {
    if (this.#users.get(user)?.revision !== revision) return false
    this.#users.delete(user)
    this.#deadlines.set(user, null)
    this.#dirtyUsers.delete(user)
    return true
  }

  async dueUsers(now: number, limit: number): Promise<readonly string[]> {
    return this.#deadlines.due(now, limit)
  }

  async nextDeadline(): Promise<number | null> {
    return this.#deadlines.next()
  }

  async usersWithDeadline(before: number): Promise<readonly string[]> {
    return this.#deadlines.before(before)
  }

  async usersOfBroker(broker: string | null): Promise<readonly string[]> {
    const users: string[] = []
    for (const { state } of this.#users.values()) {
      if (state.connections.some((c) => c.broker === broker)) users.push(state.user)
    }
    return users
  }

  async allUsers(): Promise<readonly string[]> {
    return [...this.#users.keys()]
  }

  async dirtyUsers(): Promise<readonly string[]> {
    return [...this.#dirtyUsers.keys()]
  }

  async clearUser(user: string, revision: number): Promise<boolean> {
    const mark = this.#dirtyUsers.get(user)
    // A revision above the user's is of an earlier life of it.
    const current = this.#users.get(user)?.revision ?? 0
    if (mark !== undefined && mark <= revision && revision <= current) this.#dirtyUsers.delete(user)
    return true
  }

  async dirtyRooms(): Promise<readonly string[]> {
    return [...this.#dirtyRooms]
  }

  async roomSize(room: string): Promise<number> {
    return this.#rooms.get(room)?.size ?? 0
  }

  async flushRoom(
    room: string,
    now: number,
    announceLimit: number,
  ): Promise<RoomFlush | undefined> {
    const flush = this.#rooms.get(room)?.flush(now, announceLimit)
    if (!flush) this.#dirtyRooms.delete(room)
    return flush
  }

  async clearRoom(room: string, version: number): Promise<boolean> {
    const record = this.#rooms.get(room)
    record?.confirm(version)
    if (!record || (record.version === version && !record.changed)) this.#dirtyRooms.delete(room)
    return true
  }

  async restoreRoom(room: string, version: number, shown: readonly Member[]): Promise<void> {
    const record = this.#room(room)
    record.restore(version, shown)
    record.emptySince = record.size === 0 ? this.#now() : null
  }

  async doubtRoom(room: string, strays: readonly string[] = []): Promise<void> {
    const record = this.#room(room)
    record.doubt(strays)
    if (record.size === 0) record.emptySince ??= this.#now()
    this.#dirtyRooms.add(room)
  }

  async takeEmptyRooms(before: number, limit: number): Promise<readonly EmptyRoom[]> {
    const taken: EmptyRoom[] = []
    for (const { room, version, emptySince } of this.#rooms.values()) {
      if (taken.length >= limit) break
      if (emptySince !== null && emptySince < before && !this.#dirtyRooms.has(room))
        taken.push({ room, version })
    }
    for (const { room } of taken) this.#rooms.delete(room)
    return taken
  }

  async allRooms(): Promise<readonly string[]> {
    return [...this.#rooms.keys()]
  }

  async roomMembers(room: string): Promise<readonly Member[]> {
    return this.#rooms.get(room)?.members ?? []
  }

  async userActivity(user: string, since: number): Promise<ActivityLog> {
    return this.#activity.read(since, (entry) => entry.room === null && entry.user === user)
  }

  async roomActivity(room: string, since: number): Promise<ActivityLog> {
    return this.#activity.read(since, (entry) => entry.room === room)
  }

  async close(): Promise<void> {}

  #room(room: string): RoomRecord {
    let record = this.#rooms.get(room)
    if (!record) {
      record = new RoomRecord(room)
      this.#rooms.set(room, record)
    }
    return record
  }
}
