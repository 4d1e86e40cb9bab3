import {
  formatTime,
  jsonEqual,
  type Json,
  type Member,
  type Status,
  type UserDocument,
} from '../../protocol/index.ts'
import type { Membership, RoomEntry, UserState } from './state.ts'

/** The status that others see: `away` only when every connection, those in grace included, is away. */
export function viewStatus(state: UserState): Status {
  if (state.connections.length === 0) return 'offline'
  return state.connections.every((connection) => connection.away) ? 'away' : 'online'
}

/** The user's data: the newest that a connection gave, among those that still count. */
export function viewData(state: UserState): Json {
  let newest: Json | undefined
  let newestOrder = -1
  for (const { data, dataOrder } of state.connections) {
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
  state: UserState,
  { room, since }: Membership,
  rooms: ReadonlyMap<string, RoomEntry> = viewRooms(state),
): Member {
  return {
    user: state.user,
    status: viewStatus(state) === 'away' ? 'away' : 'online',
    since: formatTime(since),
    data: rooms.get(room)?.data ?? null,
  }
}

/** The entry of each room that others see: the newest that a connection gave, among those that still count. */
export function viewRooms(state: UserState): ReadonlyMap<string, RoomEntry> {
  const rooms = new Map<string, RoomEntry>()
  for (const connection of state.connections) {
    for (const entry of connection.rooms) {
      const newest = rooms.get(entry.room)
      if (!newest || entry.order > newest.order) rooms.set(entry.room, entry)
    }
  }
  return rooms
}

/** Whether others see the same of two states of one user, times and versions aside. */
export function sameUserView(a: UserState, b: UserState): boolean {
  return (
    viewStatus(a) === viewStatus(b) &&
    a.reason === b.reason &&
    a.shownConnections === b.shownConnections &&
    jsonEqual(viewData(a), viewData(b))
  )
}
