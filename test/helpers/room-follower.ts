import {
  applyDiff,
  applySnapshot,
  parseRoomDiff,
  parseRoomSnapshot,
  type Member,
  type RoomDiff,
  type RoomReplica,
  type RoomSnapshot,
} from '../../protocol/index.ts'
import type { Message } from './presence-reader.ts'

/** A reader's copy of one room, kept by the diffs alone, and what was wrong with it. */
export interface Followed {
  readonly replica: RoomReplica | undefined
  /** Diffs that were applied. */
  readonly applied: number
  /** One sentence for each thing that must not be: gaps, unreadable payloads, a copy unlike its snapshot. */
  readonly faults: readonly string[]
}

/**
 * Folds what a reader of a room's events and snapshots got, in the order of arrival, as PROTOCOL.md tells
 * readers to: the first snapshot, then diffs. Every later snapshot is only compared with.
 */
export function followRoom(messages: readonly Message[], topic: string): Followed {
  const held: RoomDiff[] = []
  const snapshots = new Map<number, RoomSnapshot>()
  const faults: string[] = []
  let replica: RoomReplica | undefined
  let applied = 0

  function apply(diff: RoomDiff): void {
    if (!replica) return void held.push(diff)
    const outcome = applyDiff(replica, diff)
    if (outcome.kind === 'gap') {
      faults.push(`a gap: have ${replica.version}, got ${diff.previous} to ${diff.version}`)
    } else if (outcome.kind === 'applied') {
      applied++
      faults.push(...findNonsense(replica, diff))
      replica = outcome.replica
      const snapshot = snapshots.get(replica.version)
      if (!snapshot) faults.push(`no snapshot came before the diff to ${replica.version}`)
      else if (!sameRoom(replica, snapshot)) faults.push(`unlike its snapshot: ${replica.version}`)
    }
  }

  for (const message of messages) {
    if (message.topic === topic) {
      const snapshot = parseRoomSnapshot(message.text)
      if (!snapshot) {
        faults.push(`no snapshot: ${message.text}`)
        continue
      }
      snapshots.set(snapshot.version, snapshot)
      if (replica) continue
      replica = applySnapshot(undefined, snapshot)
      for (const diff of held.splice(0)) apply(diff)
    } else if (message.topic === `${topic}/events`) {
      const diff = parseRoomDiff(message.text)
      if (diff) apply(diff)
      else faults.push(`no diff: ${message.text}`)
    }
  }
  return { replica, applied, faults }
}

/** Joins of members, and leaves and updates of others. */
function findNonsense({ members }: RoomReplica, { joined, updated, left }: RoomDiff): string[] {
  const strangers = [...updated, ...left].filter(({ user }) => !members.has(user))
  const known = joined.filter(({ user }) => members.has(user))
  return [
    ...strangers.map(({ user }) => `${user} is told of, but is not there`),
    ...known.map(({ user }) => `${user} joins, but is there`),
  ]
}

/** Whether a copy of a room says what a snapshot says. */
function sameRoom(replica: RoomReplica, snapshot: RoomSnapshot): boolean {
  return (
    replica.version === snapshot.version &&
    replica.size === snapshot.size &&
    replica.complete === (snapshot.members !== undefined) &&
    sorted([...replica.members.values()]) === sorted(snapshot.members ?? [])
  )
}

function sorted(members: readonly Member[]): string {
  return JSON.stringify(members.toSorted((a, b) => (a.user < b.user ? -1 : 1)))
}
