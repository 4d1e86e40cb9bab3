import { parseTime, type Cause, type Member, type UserDocument } from '../../protocol/index.ts'
import { connectionGrace, roomGrace, type Policy } from './policy.ts'
import type { ConnectionState, GraceConnection, UserState } from './state.ts'

/** The client id of the stand-in for connections whose state was lost: no client has an empty id. */
const STAND_IN = ''

/** How much later than its broker a bridge may have noted when a client was last heard, in milliseconds. */
const SAME_MS = 1000

/**
 * Builds a state from what others were last shown, when nothing else survived: one stand-in
 * connection, lost with its broker, holds the user and its rooms until the real ones announce
 * themselves or the grace is over.
 */
export function restore(
  state: UserState,
  shown: UserDocument,
  rooms: readonly { readonly room: string; readonly member: Member }[],
  now: number,
  policy: Policy,
): UserState {
  if (state.connections.length > 0 || state.version > 0) {
    // The state has gone back to before what was shown; what is shown next has to be newer than that.
    if (shown.version <= state.version) return state
    return { ...state, version: Math.max(shown.version + 1, now) }
  }
  const seeded = {
    ...state,
    since: parseTime(shown.since),
    lastSeen: parseTime(shown.lastSeen),
    reason: shown.reason,
    shownConnections: shown.connections,
    version: shown.version,
  }
  if (shown.status === 'offline')
    return { ...seeded, forgetAt: seeded.since + policy.retainedOfflineMs }
  const standIn: GraceConnection = {
    status: 'grace',
    cause: 'broker',
    deadline: now + connectionGrace(policy, 'broker', null),
    id: '',
    client: STAND_IN,
    broker: null,
    away: shown.status === 'away',
    rooms: rooms.map(({ room, member }) => ({
      room,
      data: member.data,
      order: 0,
      deadline: now + roomGrace(policy, 'broker', room, null),
    })),
    data: shown.data,
    dataOrder: 0,
    seq: -1,
    grace: null,
    lastSeen: seeded.lastSeen,
  }
  const memberships = rooms.map(({ room, member }) => ({ room, since: parseTime(member.since) }))
  return { ...seeded, connections: [standIn], memberships }
}

/** An end of a connection that nothing is known of: should the stand-in end, too, that is why. */
export function explainStandIn(
  connections: readonly ConnectionState[],
  cause: Cause,
  lastSeen: number,
): readonly ConnectionState[] {
  const isNews = (c: ConnectionState): c is GraceConnection =>
    c.status === 'grace' && c.client === STAND_IN && c.lastSeen <= lastSeen + SAME_MS
  if (!connections.some(isNews)) return connections
  return connections.map((c) =>
    isNews(c) ? { ...c, cause, lastSeen: Math.max(c.lastSeen, lastSeen) } : c,
  )
}

/** The connections when the stand-in has nobody to stand in for any more; the very same ones without it. */
export function endStandIn(
  connections: readonly ConnectionState[],
  now: number,
): readonly ConnectionState[] {
  if (connections.every(({ client }) => client !== STAND_IN)) return connections
  return connections.map((connection) => {
    if (connection.status === 'up' || connection.client !== STAND_IN) return connection
    const rooms = connection.rooms.map((entry) => ({ ...entry, deadline: now }))
    return { ...connection, deadline: now, rooms }
  })
}
