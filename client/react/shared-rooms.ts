import type { Json, Presence, Room } from '../index.ts'

/** A component's share in a room that others may show too. */
export interface RoomShare {
  readonly room: Room
  /** Gives the share back; the last one leaves the room. */
  readonly release: () => void
}

const counts = new WeakMap<Presence, Map<string, number>>()

/** Joins a room, or shares it with the components that are in it already. */
export function shareRoom(presence: Presence, name: string, data: Json): RoomShare {
  const ofPresence = counts.get(presence) ?? new Map<string, number>()
  counts.set(presence, ofPresence)
  ofPresence.set(name, (ofPresence.get(name) ?? 0) + 1)
  const room = presence.room(name, data)
  return {
    room,
    release() {
      const left = (ofPresence.get(name) ?? 1) - 1
      if (left > 0) ofPresence.set(name, left)
      else {
        ofPresence.delete(name)
        room.leave()
      }
    },
  }
}
