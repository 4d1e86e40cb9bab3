import { jsonEqual } from '../../protocol/index.ts'
import { expireConnection } from './connections.ts'
import type { Effect } from './input.ts'
import type { Policy } from './policy.ts'
import { causeOfEnd, holdsOfUser } from './holds.ts'
import { settleRooms } from './settle-rooms.ts'
import type { Change, ConnectionState, UserState } from './state.ts'
import { viewData, viewStatus } from './view.ts'

/** How long a user that was never shown is remembered for the sake of late messages, in milliseconds. */
const STRANGER_MS = 60_000

/**
 * Ends a step: drops what no deadline holds any more, brings what is derived (memberships, times,
 * the shown number of connections, the version) up to date, and tells the difference of the two views.
 *
 * @param countUntil deadlines after this time do not count yet
 */
export function settle(
  before: UserState,
  change: Change,
  now: number,
  policy: Policy,
  countUntil: number = now,
): readonly [UserState, readonly Effect[]] {
  const connections = expire(change.connections, countUntil)
  if (connections === before.connections) return settleUnseen(before, change, now, policy)
  const wasOnline = before.connections.length > 0
  const isOnline = connections.length > 0
  const shown = shownConnections(before, connections)
  const isSame =
    viewStatus(before) === viewStatus({ connections }) &&
    shown === before.shownConnections &&
    jsonEqual(viewData(before), viewData({ connections }))
  const [memberships, roomEffects] = settleRooms(before, change, connections, now)
  // Every state is made here, so that all of them have one shape, which is what makes a step quick.
  const next: UserState = {
    user: before.user,
    connections,
    ended: change.ended,
    memberships,
    since: wasOnline === isOnline ? before.since : now,
    lastSeen: change.lastSeen,
    reason: isOnline
      ? null
      : wasOnline
        ? causeOfEnd(holdsOfUser(change.connections))
        : before.reason,
    shownConnections: shown,
    order: change.order,
    version: isSame ? before.version : Math.max(before.version + 1, now),
    forgetAt: isOnline ? null : wasOnline ? now + policy.retainedOfflineMs : before.forgetAt,
  }
  if (isSame) return [next, roomEffects]
  const effects: Effect[] = [{ type: 'user' }, ...roomEffects]
  if (wasOnline !== isOnline) {
    const to = isOnline ? 'online' : 'offline'
    effects.push({ type: 'transition', to, cause: next.reason, at: now, since: before.since })
  }
  return [next, effects]
}

function settleUnseen(
  before: UserState,
  { ended }: Change,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  if (before.connections.length > 0 || before.forgetAt !== null) {
    const isDue = before.forgetAt !== null && before.forgetAt <= now
    const next = ended === before.ended ? before : { ...before, ended }
    return [next, isDue ? [{ type: 'forget' }] : []]
  }
  if (ended.length === 0) return [before, []]
  // Only what late messages may ask for is known of this user.
  const forgetAt = now + Math.min(STRANGER_MS, policy.retainedOfflineMs)
  return [{ ...before, ended, forgetAt }, []]
}

function expire(connections: readonly ConnectionState[], now: number): readonly ConnectionState[] {
  let kept: ConnectionState[] | undefined
  for (const [i, connection] of connections.entries()) {
    const left = expireConnection(connection, now)
    if (left !== connection) kept ??= connections.slice(0, i)
    if (left) kept?.push(left)
  }
  return kept ?? connections
}

/**
 * The number of connections that are up; while any is in grace what was shown before stays, so
 * that a refresh, which is one connection less and then one more, is silent.
 */
function shownConnections(before: UserState, connections: readonly ConnectionState[]): number {
  let up = 0
  for (const { status } of connections) if (status === 'up') up++
  return up === connections.length || before.connections.length === 0 ? up : before.shownConnections
}
