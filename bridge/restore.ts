import { formatTime, type Member, type UserDocument } from '../protocol/index.ts'
import {
  createUserState,
  nextDeadline,
  step,
  viewMember,
  type Policy,
  type UserState,
} from './core/index.ts'
import type { MembersByRoom, Remains } from './remains.ts'
import type { RoomSave, Store, StoredUser } from './store/store.ts'

/**
 * Fills an empty store with what an earlier life left: rooms as readers were last shown them, then
 * every user. What differs from what is retained is left dirty, to be published.
 *
 * @returns brokers of ours that are known by their connections: they have to be heard, or are lost
 */
export async function restoreStore(
  store: Store,
  remains: Remains,
  now: number,
  policy: Policy,
): Promise<ReadonlySet<string>> {
  const shown = collectShown(remains)
  for (const [room, members] of shown) {
    await store.restoreRoom(room, remains.rooms.get(room)?.version ?? 0, [...members.values()])
    const strays = [...(remains.members.get(room)?.keys() ?? [])].filter((u) => !members.has(u))
    const sizes = [remains.members.get(room)?.size ?? 0, remains.rooms.get(room)?.size]
    const sound =
      sizes.every((size) => size === members.size) &&
      remains.counts.get(room) === String(members.size)
    // A flush was cut short: what readers have is unknown.
    if (strays.length > 0 || !sound) await store.doubtRoom(room, strays)
  }

  const roomsOf = invert(shown)
  const brokers = new Set<string>()
  for (const [user, { at, state }] of remains.journal) {
    // While the bridge was away nobody could be heard: what was left of a grace is left of it now.
    const [shifted] = step(state, { type: 'shift', byMs: Math.max(0, now - at) }, now, policy)
    // Of some users nothing is known but ended connections; they were never shown.
    const isTold = remains.users.get(user)?.version === state.version && isStatusTold(remains, user)
    const dirty = state.version > 0 && !isTold
    await saveRestored(store, shifted, dirty, roomsOf.get(user) ?? new Map())
    for (const { broker } of state.connections) if (broker !== null) brokers.add(broker)
  }
  for (const user of new Set([...remains.users.keys(), ...roomsOf.keys()])) {
    if (remains.journal.has(user)) continue
    const rooms = roomsOf.get(user) ?? new Map<string, Member>()
    const document = remains.users.get(user) ?? onlyMember(user, rooms, now)
    const present = Array.from(rooms, ([room, member]) => ({ room, member }))
    const input = { type: 'restore', shown: document, rooms: present } as const
    const [state] = step(createUserState(user), input, now, policy)
    await saveRestored(store, state, remains.users.has(user) && !isStatusTold(remains, user), rooms)
  }
  return brokers
}

/** Whether a user's plain status says the same as its document; otherwise the bridge died in between. */
function isStatusTold({ users, statuses }: Remains, user: string): boolean {
  return statuses.get(user) === (users.get(user)?.status === 'offline' ? 'offline' : 'online')
}

/** What readers were last shown: the snapshot's members, or above the announce limit the member topics'. */
export function collectShown({ rooms, members }: Remains): MembersByRoom {
  const shown = new Map<string, ReadonlyMap<string, Member>>(members)
  for (const [room, snapshot] of rooms) {
    if (snapshot.members) shown.set(room, new Map(snapshot.members.map((m) => [m.user, m])))
    else if (!shown.has(room)) shown.set(room, new Map())
  }
  return shown
}

/** The same members, by user and room. */
export function invert(shown: MembersByRoom): ReadonlyMap<string, ReadonlyMap<string, Member>> {
  const byUser = new Map<string, Map<string, Member>>()
  for (const [room, members] of shown) {
    for (const [user, member] of members) {
      const rooms = byUser.get(user)
      if (rooms) rooms.set(room, member)
      else byUser.set(user, new Map([[room, member]]))
    }
  }
  return byUser
}

/**
 * Stores what was restored of a user, and what became of the rooms that it was shown in.
 *
 * @returns the new revision; undefined when another bridge was faster
 */
export async function saveRestored(
  store: Store,
  state: UserState,
  dirty: boolean,
  shown: ReadonlyMap<string, Member>,
  stored?: StoredUser,
): Promise<number | undefined> {
  const rooms: RoomSave[] = state.memberships.map((membership) => ({
    room: membership.room,
    member: viewMember(state, membership),
    leave: null,
  }))
  for (const [room, { since }] of shown) {
    if (state.memberships.some((membership) => membership.room === room)) continue
    const { user, lastSeen, reason } = state
    const leave = { user, reason: reason ?? 'left', since, lastSeen: formatTime(lastSeen) }
    rooms.push({ room, member: null, leave })
  }
  const { revision: expected = 0, heard } = stored ?? {}
  const deadline = nextDeadline(state)
  return store.saveUser({ state, expected, deadline, dirty, rooms, ...(heard && { heard }) })
}

/** What the document of a user would be of which only memberships are left. */
export function onlyMember(
  user: string,
  rooms: ReadonlyMap<string, Member>,
  now: number,
): UserDocument {
  const [member] = rooms.values()
  const since = member?.since ?? formatTime(now)
  const status = member?.status ?? 'online'
  return {
    user,
    status,
    since,
    lastSeen: since,
    reason: null,
    connections: 1,
    data: null,
    version: 1,
  }
}
