import { jsonEqual, type Json, type Member } from '../../protocol/index.ts'
import type { Departure, RoomMessage } from '../core/index.ts'
import { createEmitter, type Emitter, type Listen } from './emitter.ts'

/** What a room tells. `change` follows whatever else was told, once. */
export interface RoomEvents {
  join: Member
  leave: Departure & { readonly last: Member }
  update: Member
  change: Room
}

/** A room that this page is in, or looks at. */
export interface Room {
  readonly name: string
  /** Everybody in it; the whole room when `complete`. */
  readonly members: ReadonlyMap<string, Member>
  /** How many are in it, also when there are too many to list. */
  readonly size: number
  /** Whether `members` is the whole room: false above the server's announce limit, and until it is known. */
  readonly complete: boolean
  /** Whether it is current: false while there is no connection, and until all is known again after. */
  readonly fresh: boolean
  /** Whether this page is in it. */
  readonly joined: boolean
  /** What others see of this page's member. */
  readonly data: Json | undefined
  /** Listens; the result stops it. What the room is like at first is a `change`, no `join`. */
  readonly on: Listen<RoomEvents>
  /** Changes some of the member data: objects are merged, anything else is replaced. Joins if need be. */
  update(data: Json): void
  /** Leaves at once and stops looking. `presence.room()` comes back. */
  leave(): void
}

/** A room, and what the library does with it. */
export interface OwnRoom extends Room {
  join(data: Json): void
  apply(message: RoomMessage): void
  stale(): void
}

/** Creates a room of which nothing is known; `changed` says that the page wants something else of it, or nothing. */
export function createRoom(name: string, changed: (isWanted: boolean) => void): OwnRoom {
  const events: Emitter<RoomEvents> = createEmitter()
  let members = new Map<string, Member>()
  let size = 0
  let complete = false
  let fresh = false
  let data: Json | undefined

  const room: OwnRoom = {
    name,
    get members() {
      return members
    },
    get size() {
      return size
    },
    get complete() {
      return complete
    },
    get fresh() {
      return fresh
    },
    get joined() {
      return data !== undefined
    },
    get data() {
      return data
    },
    on: events.on,
    join(next) {
      data = next
      changed(true)
    },
    update(next) {
      room.join(isObject(data) && isObject(next) ? { ...data, ...next } : next)
    },
    leave() {
      data = undefined
      changed(false)
    },
    stale() {
      if (!fresh) return
      fresh = false
      events.emit('change', room)
    },
    apply(message) {
      const before = members
      const wasKnown = complete
      const {
        joined = [],
        updated = [],
        left = [],
      } = message.members ? differences(before, message.members) : message
      ;({ size, complete, fresh } = message)
      // Readers keep the map they were given: each change makes a new one.
      members = new Map(message.members ? [] : before)
      for (const { user } of left) members.delete(user)
      for (const member of message.members ?? [...joined, ...updated])
        members.set(member.user, member)
      if (wasKnown && complete) {
        for (const departure of left) {
          const last = before.get(departure.user)
          if (last) events.emit('leave', { ...departure, last })
        }
        for (const member of joined) events.emit('join', member)
        for (const member of updated) events.emit('update', member)
      }
      events.emit('change', room)
    },
  }
  return room
}

function differences(
  before: ReadonlyMap<string, Member>,
  after: readonly Member[],
): Pick<Required<RoomMessage>, 'joined' | 'updated' | 'left'> {
  const users = new Set(after.map(({ user }) => user))
  return {
    left: [...before.keys()].filter((user) => !users.has(user)).map((user) => ({ user })),
    joined: after.filter(({ user }) => !before.has(user)),
    updated: after.filter((member) => {
      const known = before.get(member.user)
      return known && (known.status !== member.status || !jsonEqual(known.data, member.data))
    }),
  }
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
