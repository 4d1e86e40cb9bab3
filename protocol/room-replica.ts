import type { Member, RoomDiff, RoomSnapshot } from './output-documents.ts'

/**
 * A reader's copy of one room. A reader subscribes to `events`, holds what comes, subscribes to the
 * snapshot, and gives everything to a replica in the order of arrival.
 */
export interface RoomReplica {
  readonly version: number
  readonly size: number
  readonly members: ReadonlyMap<string, Member>
  /** Whether `members` is the whole room; false above the announce limit. */
  readonly complete: boolean
}

/** What a diff did to a replica. After `gap` the reader reads the snapshot again. */
export type DiffOutcome =
  | { readonly kind: 'applied'; readonly replica: RoomReplica }
  | { readonly kind: 'old' }
  | { readonly kind: 'gap' }

/** The copy that a snapshot gives, or the current one if that is at least as new. */
export function applySnapshot(
  current: RoomReplica | undefined,
  snapshot: RoomSnapshot,
): RoomReplica {
  if (current && current.version >= snapshot.version) return current
  return {
    version: snapshot.version,
    size: snapshot.size,
    members: new Map((snapshot.members ?? []).map((member) => [member.user, member])),
    complete: snapshot.members !== undefined,
  }
}

/** Applies a diff: `old` when the replica has it already, `gap` when one before it is missing. */
export function applyDiff(current: RoomReplica, diff: RoomDiff): DiffOutcome {
  if (diff.version <= current.version) return { kind: 'old' }
  if (diff.previous !== current.version) return { kind: 'gap' }
  if (diff.complete === false) {
    const replica = { version: diff.version, size: diff.size, members: new Map(), complete: false }
    return { kind: 'applied', replica }
  }
  // The room has come back below the announce limit: only a snapshot has all its members.
  if (!current.complete) return { kind: 'gap' }
  const members = new Map(current.members)
  for (const { user } of diff.left) members.delete(user)
  for (const member of diff.joined) members.set(member.user, member)
  for (const member of diff.updated) members.set(member.user, member)
  return {
    kind: 'applied',
    replica: { version: diff.version, size: diff.size, members, complete: true },
  }
}
