import type { Logger } from '../runtime/logger.ts'
import type { Topics } from '../protocol/index.ts'
import { viewStatus, viewUser, type UserState } from './core/index.ts'
import type { Link, LinkPublishOptions } from './link/link.ts'
import type { RoomFlush } from './store/store.ts'

/** Writes the output plane: what stored state looks like on its topics. */
export interface Publisher {
  /**
   * Publishes a user's topics; resolves to false when the broker did not get them all.
   *
   * @param shown the state that was published last; absent: unknown, so everything is published
   */
  publishUser(state: UserState, shown?: UserState): Promise<boolean>
  /** Clears every topic of a user; a user that was never shown has none but the journal's. */
  clearUser(state: UserState): Promise<boolean>
  publishRoom(flush: RoomFlush): Promise<boolean>
  /** Clears every topic of an empty room whose last version this is. */
  clearRoom(room: string, version: number): Promise<boolean>
  /** Keeps a user's state, as it is at this time, on the broker for the bridge's next life. */
  writeJournal(state: UserState, at: number): Promise<boolean>
  /** Publishes whether presence is fresh. */
  publishStatus(status: 'online' | 'offline'): Promise<boolean>
  /** Publishes whether a bridge is there: `online`, or nothing. */
  publishBridge(bridge: string, status: 'online' | ''): Promise<boolean>
  readonly published: number
}

/** Options of {@link createPublisher}. */
export interface PublisherOptions {
  readonly link: Link
  readonly topics: Topics
  readonly logger: Logger
  /** Whether states are kept on the broker too. */
  readonly journal: boolean
}

/** Creates the writer of the output plane. */
export function createPublisher({ link, topics, logger, journal }: PublisherOptions): Publisher {
  let published = 0

  async function publish(
    topic: string,
    payload: string,
    options: Partial<LinkPublishOptions> = {},
  ): Promise<boolean> {
    published++
    try {
      await link.publish(topic, payload, { retain: true, ...options })
      return true
    } catch (error) {
      // The dirty mark stays, and the link's return brings another attempt.
      logger.debug({ topic, error: String(error) }, 'not published')
      return false
    }
  }

  return {
    get published() {
      return published
    },
    async publishUser(state, shown) {
      const { version } = state
      const user = publish(topics.user(state.user), JSON.stringify(viewUser(state)), { version })
      const status = plainStatus(state)
      if (shown && shown.version > 0 && plainStatus(shown) === status) return user
      return all([user, publish(topics.userStatus(state.user), status, { version })])
    },
    async clearUser({ user, version }) {
      const shown = version > 0 ? [topics.user(user), topics.userStatus(user)] : []
      const kept = journal ? [topics.bridgeState(user)] : []
      return all([
        ...shown.map((topic) => publish(topic, '', { version })),
        ...kept.map((topic) => publish(topic, '')),
      ])
    },
    async publishRoom(flush) {
      return all([...publishMembers(flush), ...publishWhole(flush)])
    },
    async clearRoom(room, version) {
      const shown = [topics.room(room), topics.roomCount(room)]
      return all(shown.map((topic) => publish(topic, '', { version })))
    },
    writeJournal: (state, at) =>
      publish(topics.bridgeState(state.user), JSON.stringify({ at, state })),
    publishStatus: (status) => publish(topics.bridgeStatus, status),
    publishBridge: (bridge, status) => publish(topics.bridge(bridge), status),
  }

  function publishMembers({
    room,
    version,
    members,
    whole,
    joined,
    updated,
    left,
    strays,
  }: RoomFlush): Promise<boolean>[] {
    const present = whole && members ? members : [...joined, ...updated]
    const say = (user: string, payload: string): Promise<boolean> =>
      publish(topics.member(room, user), payload, { version })
    return [
      ...present.map((member) => say(member.user, JSON.stringify(member))),
      ...left.map(({ user }) => say(user, '')),
      ...strays.map((user) => say(user, '')),
    ]
  }

  function publishWhole(flush: RoomFlush): Promise<boolean>[] {
    const { room, version, previous, size, complete, members, whole } = flush
    const lists = complete
      ? { joined: flush.joined, updated: flush.updated, left: flush.left }
      : { joined: [], updated: [], left: [], complete: false }
    const content = complete ? { members } : { complete: false }
    const resized = whole || flush.joined.length !== flush.left.length
    return [
      // The snapshot goes before its diff: whoever reads the one never lacks the other.
      publish(topics.room(room), JSON.stringify({ room, version, size, ...content }), { version }),
      ...(resized ? [publish(topics.roomCount(room), String(size), { version })] : []),
      publish(
        topics.roomEvents(room),
        JSON.stringify({ room, version, previous, size, ...lists }),
        { retain: false, version },
      ),
    ]
  }
}

function plainStatus(state: UserState): 'online' | 'offline' {
  return viewStatus(state) === 'offline' ? 'offline' : 'online'
}

async function all(attempts: readonly Promise<boolean>[]): Promise<boolean> {
  return (await Promise.all(attempts)).every(Boolean)
}
