import {
  formatTime,
  type Json,
  type Member,
  type Status,
  type UserDocument,
} from '../../protocol/index.ts'
import type { ConnectionState, Membership, RoomEntry, UserState } from './state.ts'

const NO_ROOMS: readonly RoomEntry[] = []

/** The status that others see: `away` only when every connection, those in grace included, is away. */
export function viewStatus({ connections }: Pick<UserState, 'connections'>): Status {
  if (connections.length === 0) return 'offline'
  return connections.every(({ away }) => away) ? 'away' : 'online'
}

/** The user's data: the newest that a connection gave, among those that still count. */
export function viewData({ connections }: Pick<UserState, 'connections'>): Json {
  let newest: Json | undefined
  let newestOrder = -1
  for (const { data, dataOrder } of connections) {
    if (data !== undefined && dataOrder > newestOrder) {
      newest = data
      newestOrder = dataOrder
    }
  }
  return newest ?? null
}

/** What is published on the user's topic. */
export function viewUser(state: UserState): UserDocument {
  return {
    user: state.user,
    status: viewStatus(state),
    since: formatTime(state.since),
    lastSeen: formatTime(state.lastSeen),
    reason: state.reason,
    connections: state.shownConnections,
    data: viewData(state),
    version: state.version,
  }
}

/** What is published of the user in one of its rooms. */
export function viewMember(
  state: Pick<UserState, 'user' | 'connections'>,
  { room, since }: Membership,
  data: Json = viewRooms(state).find((entry) => entry.room === room)?.data ?? null,
): Member {
  return {
    user: state.user,
    status: viewStatus(state) === 'away' ? 'away' : 'online',
    since: formatTime(since),
    data,
  }
}

/**
 * The entry of each room that others see: the newest that a connection gave, among those that still
 * count. The very same list as long as one connection alone has rooms, and they are unchanged.
 */
export function viewRooms({ connections }: Pick<UserState, 'connections'>): readonly RoomEntry[] {
  let only = NO_ROOMS
  for (const { rooms } of connections) {
    if (rooms.length === 0) continue
    if (only.length > 0) return newestRooms(connections)
    only = rooms
  }
  return only
}

function newestRooms(connections: readonly ConnectionState[]): readonly RoomEntry[] {
  const newest = new Map<string, RoomEntry>()
  for (const { rooms } of connections) {
    for (const entry of rooms) {
      const known = newest.get(entry.room)
      if (!known || entry.order > known.order) newest.set(entry.room, entry)
    }
  }
  return [...newest.values()]
}
