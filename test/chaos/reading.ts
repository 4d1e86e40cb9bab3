import {
  applyDiff,
  applySnapshot,
  parseMember,
  parseRoomDiff,
  parseRoomSnapshot,
  parseTopic,
  parseUserDocument,
  type Member,
  type RoomDiff,
  type RoomReplica,
  type RoomSnapshot,
} from '../../protocol/index.ts'
import { memberKey, NOTHING_SAID, userKey } from './truth.ts'

/** Where a reader can see that somebody is there. */
export type Source = 'document' | 'status' | 'member' | 'fold'

/** Somebody is there, and nothing is said about its data. */
export const NO_DATA = -1

/** What a reader was shown of a key from one time to another; null: absent. */
export interface Shown {
  readonly source: Source
  readonly key: string
  readonly value: number | null
  readonly from: number
  readonly until: number
}

/** What no reader may see, whatever is broken. */
export type Disorder =
  | 'a leave without a join'
  | 'a join without a leave'
  | 'a fold unlike its snapshot'
  | 'a diff before its snapshot'
  | 'a version went back'
  | 'not understood'

/** One occurrence of it. */
interface Misread {
  readonly what: Disorder
  readonly key: string
  readonly at: number
  readonly detail: string
}

/** One message, for whoever has to find out why. */
interface Read {
  readonly at: number
  readonly topic: string
  readonly text: string
}

/** What one reader has seen. */
export interface Reading {
  readonly name: string
  readonly shown: readonly Shown[]
  readonly misread: readonly Misread[]
  /** When a diff did not build upon what the reader had; allowed, since readers then read again. */
  readonly gaps: readonly { readonly at: number; readonly room: string }[]
  /** The copies of rooms that the diffs have made, at the end. */
  readonly rooms: ReadonlyMap<string, RoomReplica>
  /** When it could read, from one time to another. */
  readonly sessions: readonly { readonly from: number; readonly until: number }[]
  readonly counts: { readonly messages: number; readonly versions: number; readonly folds: number }
  readonly log: readonly Read[]
}

/** Takes what a reader gets, in the order of arrival. No clock: every time is given. */
export interface Reader {
  /** It begins to read, knowing nothing. */
  open(at: number): void
  read(at: number, topic: string, text: string): void
  /** Its connection is gone. */
  close(at: number): void
  /** What it has seen until now. */
  finish(at: number): Reading
}

/** A reader's copy of one room. */
interface Copy {
  replica: RoomReplica | undefined
  held: RoomDiff[]
  readonly snapshots: Map<number, RoomSnapshot>
  latest: RoomSnapshot | undefined
}

/** Versions whose snapshots are kept to be compared with. */
const MAX_SNAPSHOTS = 200

const MAX_LOGGED = 300

/** Creates a reader of the root `presence`. */
export function createReader(name: string): Reader {
  const shown: Shown[] = []
  const misread: Misread[] = []
  const gaps: { at: number; room: string }[] = []
  const sessions: { from: number; until: number }[] = []
  const log: Read[] = []
  const versions = new Map<string, number>()
  const counts = { messages: 0, versions: 0, folds: 0 }
  let open = new Map<string, Shown>()
  let rooms = new Map<string, Copy>()
  let since: number | undefined

  function show(source: Source, key: string, value: number | null, at: number): void {
    const id = `${source} ${key}`
    const before = open.get(id)
    if (before?.value === value) return
    if (before) shown.push({ ...before, until: at })
    else if (since !== undefined && since < at) {
      shown.push({ source, key, value: null, from: since, until: at })
    }
    open.set(id, { source, key, value, from: at, until: at })
  }

  function complain(what: Disorder, key: string, at: number, detail: string): void {
    misread.push({ what, key, at, detail })
  }

  /** Whether this is no older than what the reader has; readers drop what is. */
  function isNews(topic: string, key: string, version: number, at: number): boolean {
    counts.versions++
    const before = versions.get(topic) ?? 0
    if (version < before) {
      complain('a version went back', key, at, `${topic}: ${version} after ${before}`)
      return false
    }
    versions.set(topic, version)
    return true
  }

  function copyOf(room: string): Copy {
    let copy = rooms.get(room)
    if (!copy) {
      copy = { replica: undefined, held: [], snapshots: new Map(), latest: undefined }
      rooms.set(room, copy)
    }
    return copy
  }

  function onSnapshot(room: string, snapshot: RoomSnapshot, at: number): void {
    const copy = copyOf(room)
    copy.latest = snapshot
    copy.snapshots.set(snapshot.version, snapshot)
    for (const version of copy.snapshots.keys()) {
      if (copy.snapshots.size <= MAX_SNAPSHOTS) break
      copy.snapshots.delete(version)
    }
    if (copy.replica) return
    adopt(copy, room, snapshot, at)
    for (const diff of copy.held.splice(0)) onDiff(room, diff, at)
  }

  function adopt(copy: Copy, room: string, snapshot: RoomSnapshot, at: number): void {
    const before = copy.replica?.members ?? new Map<string, Member>()
    copy.replica = applySnapshot(undefined, snapshot)
    for (const user of before.keys()) {
      if (!copy.replica.members.has(user)) show('fold', memberKey(room, user), null, at)
    }
    for (const member of copy.replica.members.values()) showMember('fold', room, member, at)
  }

  function onDiff(room: string, diff: RoomDiff, at: number): void {
    const copy = copyOf(room)
    const { replica } = copy
    if (!replica) return void copy.held.push(diff)
    const outcome = applyDiff(replica, diff)
    if (outcome.kind === 'old') return
    if (outcome.kind === 'gap') {
      gaps.push({ at, room })
      // As PROTOCOL.md tells readers to: the snapshot is read again. It came before the diff.
      const { latest } = copy
      if (latest && latest.version >= diff.version) adopt(copy, room, latest, at)
      else complain('a diff before its snapshot', room, at, `to ${diff.version}`)
      return
    }
    findNonsense(room, replica, diff, at)
    copy.replica = outcome.replica
    for (const { user } of diff.left) show('fold', memberKey(room, user), null, at)
    for (const member of [...diff.joined, ...diff.updated]) showMember('fold', room, member, at)
    compare(copy, room, at)
  }

  function compare({ replica, snapshots, latest }: Copy, room: string, at: number): void {
    if (!replica) return
    counts.folds++
    const snapshot = snapshots.get(replica.version)
    // A later snapshot has what it tells, too.
    const hasLater = latest !== undefined && latest.version > replica.version
    if (!snapshot) {
      if (!hasLater) complain('a diff before its snapshot', room, at, `to ${replica.version}`)
    } else if (render(replica) !== render(applySnapshot(undefined, snapshot))) {
      const both = `${render(replica)}, and the snapshot ${render(applySnapshot(undefined, snapshot))}`
      complain('a fold unlike its snapshot', room, at, `version ${replica.version}: ${both}`)
    }
  }

  function findNonsense(room: string, { members }: RoomReplica, diff: RoomDiff, at: number): void {
    for (const { user } of [...diff.left, ...diff.updated]) {
      if (members.has(user)) continue
      complain('a leave without a join', memberKey(room, user), at, JSON.stringify(diff))
    }
    for (const { user } of diff.joined) {
      if (!members.has(user)) continue
      complain('a join without a leave', memberKey(room, user), at, JSON.stringify(diff))
    }
  }

  function showMember(source: Source, room: string, { user, data }: Member, at: number): void {
    show(source, memberKey(room, user), typeof data === 'number' ? data : NOTHING_SAID, at)
  }

  function take(at: number, topic: string, text: string): boolean {
    const parsed = parseTopic('presence', topic)
    switch (parsed?.kind) {
      case 'user': {
        if (text === '') return (show('document', userKey(parsed.user), null, at), true)
        const document = parseUserDocument(text)
        if (!document) return false
        if (!isNews(topic, parsed.user, document.version, at)) return true
        const data = typeof document.data === 'number' ? document.data : NOTHING_SAID
        show('document', userKey(parsed.user), document.status === 'offline' ? null : data, at)
        return true
      }
      case 'userStatus':
        show('status', userKey(parsed.user), text === 'online' ? NO_DATA : null, at)
        return text === 'online' || text === 'offline' || text === ''
      case 'member': {
        if (text === '')
          return (show('member', memberKey(parsed.room, parsed.user), null, at), true)
        const member = parseMember(text)
        if (member) showMember('member', parsed.room, member, at)
        return member !== undefined
      }
      case 'room': {
        if (text === '') return true
        const snapshot = parseRoomSnapshot(text)
        if (!snapshot) return false
        if (isNews(topic, parsed.room, snapshot.version, at)) onSnapshot(parsed.room, snapshot, at)
        return true
      }
      case 'roomEvents': {
        const diff = parseRoomDiff(text)
        if (diff) onDiff(parsed.room, diff, at)
        return diff !== undefined
      }
      default:
        return true
    }
  }

  function close(at: number): void {
    if (since === undefined) return
    for (const each of open.values()) shown.push({ ...each, until: at })
    sessions.push({ from: since, until: at })
    since = undefined
    open = new Map()
  }

  return {
    open(at) {
      close(at)
      since = at
      rooms = new Map()
    },
    read(at, topic, text) {
      counts.messages++
      log.push({ at, topic, text: text.slice(0, MAX_LOGGED) })
      if (!take(at, topic, text)) complain('not understood', topic, at, text.slice(0, MAX_LOGGED))
    },
    close,
    finish(at) {
      close(at)
      const copies = [...rooms].flatMap(([room, { replica }]) =>
        replica ? [[room, replica] as const] : [],
      )
      return { name, shown, misread, gaps, rooms: new Map(copies), sessions, counts, log }
    },
  }
}

/** A copy of a room, so that two of them can be compared. */
function render({ size, members }: RoomReplica): string {
  const sorted = [...members.values()].toSorted((a, b) => (a.user < b.user ? -1 : 1))
  return `${size} ${JSON.stringify(sorted.map(({ user, status, since, data }) => [user, status, since, data]))}`
}
