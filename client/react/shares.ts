import type { Json, Presence, Room, User } from '../index.ts'

/** A component's share in something that others may show too. */
export interface Share<T> {
  readonly of: T
  /** Gives the share back; with the last one it is given up. */
  readonly release: () => void
}

const counts = new WeakMap<Presence, Map<string, number>>()

/** Joins a room, or shares it with the components that are in it already. */
export function shareRoom(presence: Presence, name: string, data: Json): Share<Room> {
  const room = presence.room(name, data)
  return { of: room, release: share(presence, `room ${name}`, () => room.leave()) }
}

/** Looks at a user, or shares it with the components that look already. */
export function shareUser(presence: Presence, name: string): Share<User> {
  const user = presence.user(name)
  return { of: user, release: share(presence, `user ${name}`, () => user.close()) }
}

function share(presence: Presence, key: string, giveUp: () => void): () => void {
  const ofPresence = counts.get(presence) ?? new Map<string, number>()
  counts.set(presence, ofPresence)
  ofPresence.set(key, (ofPresence.get(key) ?? 0) + 1)
  return () => {
    const left = (ofPresence.get(key) ?? 1) - 1
    if (left > 0) return void ofPresence.set(key, left)
    ofPresence.delete(key)
    giveUp()
  }
}
