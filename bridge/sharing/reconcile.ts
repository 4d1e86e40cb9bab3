import type { Member, UserDocument } from '../../protocol/index.ts'
import { createUserState, step, type Policy } from '../core/index.ts'
import type { Remains } from '../remains.ts'
import { collectShown, invert, onlyMember, restoreStore, saveRestored } from '../restore.ts'
import { inSlices } from '../slices.ts'
import type { Store } from '../store/store.ts'

/**
 * Brings a store that several bridges share in line with what readers were last shown, after it was
 * emptied, or has gone back to an earlier state. Who is in the store is published again, with a version
 * above the one that was shown; who is not is restored from that.
 */
export async function reconcileStore(
  store: Store,
  left: Remains,
  now: number,
  policy: Policy,
): Promise<void> {
  const stored = await store.allUsers()
  const remains = { ...left, rooms: renumber(left.rooms, now) }
  if (stored.length === 0) {
    await restoreStore(store, remains, now, policy)
    return
  }
  const shown = collectShown(remains)
  const rooms = new Map<string, ReadonlyMap<string, Member>>(shown)
  for (const room of await store.allRooms()) {
    const kept = (await store.roomMembers(room)).map((member) => [member.user, member] as const)
    rooms.set(room, new Map([...(shown.get(room) ?? []), ...kept]))
  }
  await inSlices([...rooms.keys()], async (room) => {
    await store.restoreRoom(room, remains.rooms.get(room)?.version ?? 0, [])
    const topics = remains.members.get(room)?.keys() ?? []
    await store.doubtRoom(room, [...topics, ...(rooms.get(room)?.keys() ?? [])])
  })
  const roomsOf = invert(rooms)
  await inSlices([...new Set([...stored, ...remains.users.keys(), ...roomsOf.keys()])], (user) =>
    reconcileUser(store, user, remains.users.get(user), roomsOf.get(user), now, policy),
  )
}

/**
 * Rooms with versions that no reader has: some have been told more than what is retained, so the next diff
 * must build upon nothing that they have. They read the room again.
 */
function renumber(rooms: Remains['rooms'], now: number): Remains['rooms'] {
  return new Map(
    Array.from(rooms, ([room, snapshot]) => {
      const version = Math.max(snapshot.version + 1, now)
      return [room, { ...snapshot, version }] as const
    }),
  )
}

async function reconcileUser(
  store: Store,
  user: string,
  document: UserDocument | undefined,
  rooms: ReadonlyMap<string, Member> = new Map(),
  now: number,
  policy: Policy,
): Promise<void> {
  const stored = await store.loadUser(user)
  const before = stored?.state ?? createUserState(user)
  const shown = document ?? (stored ? undefined : onlyMember(user, rooms, now))
  const present = Array.from(rooms, ([room, member]) => ({ room, member }))
  const [state] = shown
    ? step(before, { type: 'restore', shown, rooms: present }, now, policy)
    : [before]
  // Stored anew even if nothing has changed, so that rooms that were told something later or earlier
  // learn it again.
  const dirty = stored !== undefined && state.version > 0
  await saveRestored(store, state, dirty, rooms, stored)
}
