import { formatTime, jsonEqual } from '../../protocol/index.ts'
import { causeOfEnd, holdsByRoom, lastHeard } from './holds.ts'
import type { Effect } from './input.ts'
import type { Change, ConnectionState, Membership, UserState } from './state.ts'
import { viewMember, viewRooms, viewStatus } from './view.ts'

/**
 * The rooms of all connections, and the difference to what was shown of them before. A room that the
 * user was in already keeps its time of joining.
 *
 * @param connections those of the change whose time is not up
 */
export function settleRooms(
  before: UserState,
  change: Change,
  connections: readonly ConnectionState[],
  now: number,
): readonly [readonly Membership[], readonly Effect[]] {
  const entriesBefore = viewRooms(before)
  const entries = viewRooms({ connections })
  const isSameStatus = viewStatus(before) === viewStatus({ connections })
  if (entries === entriesBefore && isSameStatus) return [before.memberships, []]

  const findMembership = finder(before.memberships)
  const findBefore = finder(entriesBefore)
  const next = { user: before.user, connections }
  const effects: Effect[] = []
  let kept = 0
  const memberships = entries.map((entry) => {
    const { room } = entry
    const known = findMembership(room)
    const membership = known ?? { room, since: now }
    if (known) kept++
    if (!known || !isSameStatus || !jsonEqual(findBefore(room)?.data, entry.data)) {
      const member = viewMember(next, membership, entry.data)
      effects.push({ type: 'member', room, member, joined: !known })
    }
    return membership
  })
  if (kept < before.memberships.length) effects.push(...leaves(before, change, memberships))
  return [memberships, effects]
}

function leaves(
  before: UserState,
  change: Change,
  memberships: readonly Membership[],
): readonly Effect[] {
  const find = finder(memberships)
  const holds = holdsByRoom(change.connections)
  return before.memberships
    .filter(({ room }) => !find(room))
    .map(({ room, since }) => {
      const held = holds.get(room) ?? []
      return {
        type: 'leave',
        room,
        leave: {
          user: before.user,
          reason: causeOfEnd(held),
          since: formatTime(since),
          // Two clocks may be a millisecond apart: the broker's and this one.
          lastSeen: formatTime(Math.max(since, lastHeard(held, change.lastSeen))),
        },
      }
    })
}

/** Finds by room: in a short list by looking through it, which is quicker, in a long one by a map. */
function finder<T extends { readonly room: string }>(
  list: readonly T[],
): (room: string) => T | undefined {
  if (list.length <= 8) return (room) => list.find((item) => item.room === room)
  const items = new Map(list.map((item) => [item.room, item]))
  return (room) => items.get(room)
}
