import { jsonEqual, type Leave, type Member, type RoomDiff } from '../../protocol/index.ts'

/** What happened to one user in one room since the last flush. */
export interface RoomChange {
  readonly user: string
  /** What readers were last shown; null when the user was not a member. */
  readonly before: Member | null
  /** What is true now; null when the user is not a member. */
  readonly after: Member | null
  /** How the user left, when it did. */
  readonly leave: Leave | null
}

/** The lists of a diff. */
export type RoomLists = Pick<RoomDiff, 'joined' | 'updated' | 'left'>

/** The lists of a diff; who joined and left within one window is in none of them. */
export function listChanges(changes: Iterable<RoomChange>): RoomLists {
  const joined: Member[] = []
  const updated: Member[] = []
  const left: Leave[] = []
  for (const { before, after, leave } of changes) {
    if (before === null) {
      if (after) joined.push(after)
    } else if (after === null) {
      if (leave) left.push({ ...leave, since: before.since })
    } else if (!sameMember(before, after)) {
      updated.push(after)
    }
  }
  return { joined, updated, left }
}

/** Whether readers see the same; who left and joined again within one window has a new `since`. */
export function sameMember(a: Member, b: Member): boolean {
  return a.status === b.status && a.since === b.since && jsonEqual(a.data, b.data)
}

/** How rooms are paced. */
export interface RoomPace {
  /** The pause after a flush of a small room, in milliseconds. */
  readonly minMs: number
  /** The pause after a flush of a room as large as the announce limit, in milliseconds. */
  readonly maxMs: number
  /** Above this size snapshots and diffs carry the size only. */
  readonly announceLimit: number
}

/** How long a room rests after a flush: longer the larger it is, since a flush tells everybody of everybody. */
export function restAfterFlush(size: number, { minMs, maxMs, announceLimit }: RoomPace): number {
  const share = announceLimit > 0 ? Math.min(1, size / announceLimit) : 1
  return Math.round(minMs + (maxMs - minMs) * share)
}
