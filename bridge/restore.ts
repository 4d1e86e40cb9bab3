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
import type { RoomSave, Store } from './store/store.ts'

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
    const topics = remains.members.get(room)?.size ?? 0
    const sound = topics === members.size && remains.rooms.get(room)?.size === members.size
    // A flush was cut short: what readers have is unknown.
    if (strays.length > 0 || !sound) await store.doubtRoom(room, strays)
  }

  const roomsOf = invert(shown)
  const brokers = new Set<string>()
  for (const [user, { at, state }] of remains.journal) {
    // While the bridge was away nobody could be heard: what was left of a grace is left of it now.
    const [shifted] = step(state, { type: 'shift', byMs: Math.max(0, now - at) }, now, policy)
    // Of some users nothing is known but ended connections; they were never shown.
    const dirty = state.version > 0 && remains.users.get(user)?.version !== state.version
    await save(store, shifted, dirty, roomsOf.get(user) ?? new Map())
    for (const { broker } of state.connections) if (broker !== null) brokers.add(broker)
  }
  for (const user of new Set([...remains.users.keys(), ...roomsOf.keys()])) {
    if (remains.journal.has(user)) continue
    const rooms = roomsOf.get(user) ?? new Map<string, Member>()
    const document = remains.users.get(user) ?? onlyMember(user, rooms, now)
    const present = Array.from(rooms, ([room, member]) => ({ room, member }))
    const input = { type: 'restore', shown: document, rooms: present } as const
    const [state] = step(createUserState(user), input, now, policy)
    await save(store, state, false, rooms)
  }
  return brokers
}

/** What readers were last shown: the snapshot's members, or above the announce limit the member topics'. */
function collectShown({ rooms, members }: Remains): MembersByRoom {
  const shown = new Map<string, ReadonlyMap<string, Member>>(members)
  for (const [room, snapshot] of rooms) {
    if (snapshot.members) shown.set(room, new Map(snapshot.members.map((m) => [m.user, m])))
    else if (!shown.has(room)) shown.set(room, new Map())
  }
  return shown
}

/** The same members, by user and room. */
function invert(shown: MembersByRoom): ReadonlyMap<string, ReadonlyMap<string, Member>> {
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

async function save(
  store: Store,
  state: UserState,
  dirty: boolean,
  shown: ReadonlyMap<string, Member>,
): Promise<void> {
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
  await store.saveUser({ state, expected: 0, deadline: nextDeadline(state), dirty, rooms })
}

/** What the document of a user would be of which only memberships are left. */
function onlyMember(user: string, rooms: ReadonlyMap<string, Member>, now: number): UserDocument {
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
