import {
  parseRoomSnapshot,
  parseTopic,
  parseUserDocument,
  createTopics,
} from '../../protocol/index.ts'

/** What is retained on a topic. */
interface Retained {
  readonly payload: string | Buffer
}

/** A snapshot, as far as it matters here. */
interface Room {
  readonly size: number | undefined
  readonly users: ReadonlySet<string> | undefined
}

/** Options of {@link createContradiction}. */
export interface ContradictionOptions {
  readonly root: string
  /** What is retained on a topic, and of which version it is. */
  readonly retained: (topic: string) => Retained | undefined
  readonly versionOn: (topic: string) => number | undefined
}

/** Tells of a message of a version whether it says the contrary of something newer. */
export type Contradiction = (topic: string, payload: string | Buffer, version: number) => boolean

/**
 * The plain topics of a user and a room tell only what has changed. So what comes late on them (a broker that was
 * stuck catches up) may be older than the document or the snapshot that readers have had, and say the contrary of
 * it for a moment. What does so is of no use to anybody: what is right has come already, or comes after it.
 */
export function createContradiction(options: ContradictionOptions): Contradiction {
  const { root, retained, versionOn } = options
  const topics = createTopics(root)
  /** Snapshots are large, and many members may be late. */
  const rooms = new WeakMap<Retained, Room>()

  function newer(topic: string, version: number): Retained | undefined {
    return (versionOn(topic) ?? -1) > version ? retained(topic) : undefined
  }

  function roomOf(snapshot: Retained): Room {
    let room = rooms.get(snapshot)
    if (!room) {
      const { size, members } = parseRoomSnapshot(snapshot.payload.toString()) ?? {}
      room = { size, users: members && new Set(members.map(({ user }) => user)) }
      rooms.set(snapshot, room)
    }
    return room
  }

  return (topic, payload, version) => {
    const parsed = parseTopic(root, topic)
    if (parsed?.kind === 'userStatus') {
      const document = newer(topics.user(parsed.user), version)
      const status = document && parseUserDocument(document.payload.toString())?.status
      if (status === undefined || payload.length === 0) return false
      return payload.toString() !== (status === 'offline' ? 'offline' : 'online')
    }
    if (parsed?.kind === 'member' || parsed?.kind === 'roomCount') {
      const snapshot = newer(topics.room(parsed.room), version)
      if (!snapshot) return false
      const { size, users } = roomOf(snapshot)
      if (parsed.kind === 'member') {
        return users !== undefined && users.has(parsed.user) !== payload.length > 0
      }
      return size !== undefined && payload.length > 0 && payload.toString() !== String(size)
    }
    return false
  }
}
