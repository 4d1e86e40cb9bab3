import {
  applyDiff,
  applySnapshot,
  jsonEqual,
  type Member,
  type RoomDiff,
  type RoomReplica,
  type RoomSnapshot,
} from '../../protocol/index.ts'
import type { Departure } from './messages.ts'

/** A room as it is shown, and what is known about how well. */
export interface RoomView {
  readonly replica: RoomReplica | undefined
  /** Diffs that wait for the snapshot; null when there is nothing to wait for. */
  readonly held: readonly RoomDiff[] | null
  /** Shown although the snapshot of a server that started anew had them not: they may be on their way back. */
  readonly kept: ReadonlyMap<string, Member>
  readonly keptUntil: number
  /** Who is shown although the first snapshot after a reconnect has them not yet: this client, who has just said it. */
  readonly returning: string | null
}

/** What can happen to it. */
export type RoomInput =
  /** Connected: the snapshot is being read. `returning` is the user that this client says is in the room, or null. */
  | { readonly type: 'reading'; readonly returning: string | null }
  | { readonly type: 'snapshot'; readonly snapshot: RoomSnapshot }
  | { readonly type: 'diff'; readonly diff: RoomDiff }
  /** There is no snapshot: nobody has ever been in the room, or it is forgotten. */
  | { readonly type: 'nothing' }
  | { readonly type: 'lost' }
  | { readonly type: 'timer' }

/** What others are shown to have done. */
interface RoomChange {
  readonly joined: readonly Member[]
  readonly updated: readonly Member[]
  readonly left: readonly Departure[]
  /** A diff is missing: the snapshot has to be read again. */
  readonly gap: boolean
}

type Step = readonly [RoomView, RoomChange]

/** A view of a room of which nothing is known. */
export const UNKNOWN_ROOM: RoomView = {
  replica: undefined,
  held: [],
  kept: new Map(),
  keptUntil: 0,
  returning: null,
}

const NOTHING: RoomChange = { joined: [], updated: [], left: [], gap: false }

/** More diffs than these are not held: the snapshot is long in coming, and a gap leads to a new one. */
const MAX_HELD = 1000

/** What becomes of the view. Time is an argument; `settleMs` is how long missing members are kept. */
export function stepRoom(view: RoomView, input: RoomInput, now: number, settleMs: number): Step {
  switch (input.type) {
    case 'reading':
      return [{ ...view, held: [], returning: input.returning }, NOTHING]
    case 'lost':
      return [{ ...view, held: [], returning: null }, NOTHING]
    case 'diff':
      return view.held
        ? [{ ...view, held: [...view.held, input.diff].slice(-MAX_HELD) }, NOTHING]
        : follow(view, input.diff)
    case 'snapshot':
      // While it is read it is the truth, also when it is another server's, whose clock is behind.
      return read(
        view,
        applySnapshot(view.held ? undefined : view.replica, input.snapshot),
        now,
        settleMs,
      )
    case 'nothing':
      return read(view, { version: 0, size: 0, members: new Map(), complete: true }, now, settleMs)
    case 'timer':
      return now < view.keptUntil ? [view, NOTHING] : release(view)
  }
}

function follow(view: RoomView, diff: RoomDiff): Step {
  if (!view.replica)
    return [
      { ...view, held: [diff] },
      { ...NOTHING, gap: true },
    ]
  const outcome = applyDiff(view.replica, diff)
  if (outcome.kind === 'old') return [view, NOTHING]
  if (outcome.kind === 'gap')
    return [
      { ...view, held: [diff] },
      { ...NOTHING, gap: true },
    ]
  const { replica } = outcome
  // Below the announce limit no longer: nobody has left, but nobody is known either.
  if (!replica.complete) return [{ ...view, replica, kept: new Map() }, NOTHING]
  const shown = membersOf(view)
  const kept = without(view.kept, [...diff.joined, ...diff.left])
  const arrived = [...diff.joined, ...diff.updated]
  return [
    { ...view, replica, kept },
    {
      joined: arrived.filter(({ user }) => !shown.has(user)),
      updated: arrived.filter((member) => isNews(shown.get(member.user), member)),
      left: diff.left.filter(({ user }) => shown.has(user)),
      gap: false,
    },
  ]
}

function read(view: RoomView, replica: RoomReplica, now: number, settleMs: number): Step {
  const shown = membersOf(view)
  const missing = replica.complete ? [...shown].filter(([user]) => !replica.members.has(user)) : []
  const remembers = hasMemory(view, replica)
  const isKept = (user: string): boolean =>
    !remembers || view.kept.has(user) || user === view.returning
  const kept = new Map(missing.filter(([user]) => isKept(user)))
  let next: RoomView = {
    replica,
    held: null,
    kept,
    returning: null,
    keptUntil: view.kept.size > 0 ? view.keptUntil : now + settleMs,
  }
  const gone = missing.filter(([user]) => !kept.has(user))
  const departures = new Map(gone.map(([user]): [string, Departure] => [user, { user }]))
  let gap = false
  for (const [i, diff] of (view.held ?? []).entries()) {
    const [followed, { left, gap: isGap }] = follow(next, diff)
    if (isGap) {
      next = { ...next, held: (view.held ?? []).slice(i) }
      gap = true
      break
    }
    next = followed
    for (const departure of left) departures.set(departure.user, departure)
  }
  const members = membersOf(next)
  const arrived = [...members.values()]
  const isOver = (user: string): boolean => shown.has(user) && !members.has(user)
  return [
    next,
    {
      joined: arrived.filter(({ user }) => !shown.has(user)),
      updated: arrived.filter((member) => isNews(shown.get(member.user), member)),
      left: [...departures.values()].filter(({ user }) => isOver(user)),
      gap,
    },
  ]
}

/**
 * Whether the room is still what it was, so that who is missing has left. A server that has started anew and
 * empty knows nobody's earlier time: there, who is missing may be on the way back.
 */
function hasMemory({ replica: before }: RoomView, after: RoomReplica): boolean {
  if (!before) return false
  return [...before.members.values()].some(
    ({ user, since }) => after.members.get(user)?.since === since,
  )
}

/** Gives up those that have not come back. */
function release(view: RoomView): Step {
  if (view.kept.size === 0) return [view, NOTHING]
  const left = [...view.kept.keys()].map((user) => ({ user }))
  return [
    { ...view, kept: new Map() },
    { ...NOTHING, left },
  ]
}

/** Everybody who is shown in the room. */
export function membersOf({ replica, kept }: RoomView): ReadonlyMap<string, Member> {
  if (!replica) return kept
  return kept.size === 0 ? replica.members : new Map([...kept, ...replica.members])
}

/** Whether the view is known to be what the bridge last published. */
export function isCurrent({ replica, held, kept }: RoomView): boolean {
  return replica !== undefined && held === null && kept.size === 0
}

/** When a `timer` input is due; null when there is nothing to wait for. */
export function roomDeadline({ kept, keptUntil, held }: RoomView): number | null {
  return kept.size > 0 && held === null ? keptUntil : null
}

function without<T>(
  map: ReadonlyMap<string, T>,
  users: readonly { user: string }[],
): ReadonlyMap<string, T> {
  if (map.size === 0) return map
  const rest = new Map(map)
  for (const { user } of users) rest.delete(user)
  return rest
}

function isNews(before: Member | undefined, member: Member): boolean {
  if (!before) return false
  return before.status !== member.status || !jsonEqual(before.data, member.data)
}
