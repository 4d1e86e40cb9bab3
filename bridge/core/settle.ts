import { formatTime, jsonEqual, type Cause } from '../../protocol/index.ts'
import { expireConnection, heldUntil } from './connections.ts'
import type { Effect } from './input.ts'
import type { Policy } from './policy.ts'
import type { ConnectionState, GraceConnection, Membership, UserState } from './state.ts'
import { sameUserView, viewMember, viewRooms, viewStatus } from './view.ts'

/** How long a user that was never shown is remembered for the sake of late messages, in milliseconds. */
const STRANGER_MS = 60_000

/**
 * Ends a step: drops what no deadline holds any more, brings what is derived (memberships, times,
 * the shown number of connections, the version) up to date, and tells the difference of the two views.
 *
 * @param before the state before the step
 * @param ended the state with its new connections; those that just ended are still among them
 */
export function settle(
  before: UserState,
  ended: UserState,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  const after = expire(ended, now)
  if (after.connections === before.connections) return settleUnseen(after, now, policy)
  const wasOnline = before.connections.length > 0
  const isOnline = after.connections.length > 0
  const next: UserState = {
    ...after,
    memberships: joinMemberships(after, now),
    since: wasOnline === isOnline ? before.since : now,
    reason: isOnline
      ? null
      : wasOnline
        ? causeOfEnd(holdsOfUser(ended.connections))
        : before.reason,
    shownConnections: shownConnections(before, after),
    forgetAt: isOnline ? null : wasOnline ? now + policy.retainedOfflineMs : before.forgetAt,
  }
  const effects = [...memberEffects(before, next), ...leaveEffects(before, ended, next)]
  if (sameUserView(before, next)) return [next, effects]
  const versioned = { ...next, version: Math.max(before.version + 1, now) }
  const transition: readonly Effect[] =
    wasOnline === isOnline
      ? []
      : [
          {
            type: 'transition',
            to: isOnline ? 'online' : 'offline',
            cause: next.reason,
            at: now,
            since: before.since,
          },
        ]
  return [versioned, [{ type: 'user' }, ...effects, ...transition]]
}

function settleUnseen(
  state: UserState,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  if (state.connections.length > 0) return [state, []]
  if (state.forgetAt === null) {
    // Only what late messages may ask for is known of this user.
    if (state.ended.length === 0) return [state, []]
    return [{ ...state, forgetAt: now + Math.min(STRANGER_MS, policy.retainedOfflineMs) }, []]
  }
  return [state, state.forgetAt <= now ? [{ type: 'forget' }] : []]
}

function expire(state: UserState, now: number): UserState {
  let changed = false
  const connections: ConnectionState[] = []
  for (const connection of state.connections) {
    const kept = expireConnection(connection, now)
    if (kept !== connection) changed = true
    if (kept) connections.push(kept)
  }
  return changed ? { ...state, connections } : state
}

/** The rooms of all connections; a room that the user was in already keeps its time of joining. */
function joinMemberships(state: UserState, now: number): readonly Membership[] {
  const before = new Map(state.memberships.map((membership) => [membership.room, membership]))
  const memberships = new Map<string, Membership>()
  for (const connection of state.connections) {
    for (const { room } of connection.rooms) {
      if (memberships.has(room)) continue
      memberships.set(room, before.get(room) ?? { room, since: now })
    }
  }
  return [...memberships.values()]
}

/**
 * The number of connections that are up; while any is in grace what was shown before stays, so
 * that a refresh, which is one connection less and then one more, is silent.
 */
function shownConnections(before: UserState, after: UserState): number {
  const up = after.connections.filter((c) => c.status === 'up').length
  if (before.connections.length === 0) return up
  return after.connections.length === up ? up : before.shownConnections
}

function memberEffects(before: UserState, next: UserState): readonly Effect[] {
  const statusChanged = viewStatus(before) !== viewStatus(next)
  const roomsBefore = viewRooms(before)
  const roomsNext = viewRooms(next)
  const known = new Set(before.memberships)
  const effects: Effect[] = []
  for (const membership of next.memberships) {
    const { room } = membership
    const joined = !known.has(membership)
    const same =
      !joined && !statusChanged && jsonEqual(roomsBefore.get(room)?.data, roomsNext.get(room)?.data)
    if (same) continue
    effects.push({ type: 'member', room, member: viewMember(next, membership, roomsNext), joined })
  }
  return effects
}

function leaveEffects(before: UserState, ended: UserState, next: UserState): readonly Effect[] {
  const stays = new Set(next.memberships.map(({ room }) => room))
  const left = before.memberships.filter(({ room }) => !stays.has(room))
  if (left.length === 0) return []
  const holds = holdsByRoom(ended.connections)
  return left.map(({ room, since }) => ({
    type: 'leave',
    room,
    leave: {
      user: next.user,
      reason: causeOfEnd(holds.get(room) ?? []),
      since: formatTime(since),
      lastSeen: formatTime(lastHeard(holds.get(room) ?? [], next.lastSeen)),
    },
  }))
}

/** A connection in grace, and until when it holds something. */
interface Hold {
  readonly connection: GraceConnection
  readonly until: number
}

function holdsByRoom(connections: readonly ConnectionState[]): ReadonlyMap<string, Hold[]> {
  const holds = new Map<string, Hold[]>()
  for (const connection of connections) {
    if (connection.status === 'up') continue
    for (const { room, deadline } of connection.rooms) {
      const hold = { connection, until: deadline ?? connection.deadline }
      const others = holds.get(room)
      if (others) others.push(hold)
      else holds.set(room, [hold])
    }
  }
  return holds
}

function holdsOfUser(connections: readonly ConnectionState[]): readonly Hold[] {
  return connections
    .filter((connection) => connection.status === 'grace')
    .map((connection) => ({ connection, until: heldUntil(connection) }))
}

/** Of connections that end together the one that was held longest says why; none: a document said so. */
function causeOfEnd(holds: readonly Hold[]): Cause {
  let cause: Cause = 'left'
  let latest = Number.NEGATIVE_INFINITY
  for (const { connection, until } of holds) {
    if (until < latest) continue
    latest = until
    cause = connection.cause
  }
  return cause
}

function lastHeard(holds: readonly Hold[], otherwise: number): number {
  let latest = Number.NEGATIVE_INFINITY
  for (const { connection } of holds) latest = Math.max(latest, connection.lastSeen)
  return holds.length === 0 ? otherwise : latest
}
