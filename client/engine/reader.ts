import { createTopics, parseUserDocument, type UserDocument } from '../../protocol/index.ts'
import { matchesFilter, type FromEngine, type Wants } from '../core/index.ts'
import type { MqttConnection } from './mqtt-connection.ts'
import type { Surroundings } from './port.ts'
import { createRoomReader, type RoomReader } from './room-reader.ts'
import { createSubscriptions } from './subscriptions.ts'

/** What pages want to read. */
export interface Readings {
  readonly rooms: ReadonlySet<string>
  readonly users: ReadonlySet<string>
  readonly filters: ReadonlySet<string>
}

/** Reads for all pages together whatever any of them wants. */
export interface Reader {
  want(readings: Readings): void
  /** What is known already of what a page has just asked for. */
  known(readings: Readings): readonly FromEngine[]
  /** Asks again for what is retained: messages are not kept here. */
  refresh(filters: Iterable<string>): void
  connected(connection: MqttConnection): void
  lost(): void
  onMessage(topic: string, payload: Uint8Array, retain: boolean): void
}

/** Options of {@link createReader}. */
export interface ReaderOptions {
  readonly root: string
  readonly settleMs: number
  readonly world: Surroundings
  /** The user that this client says is in a room; null when it says no such thing. */
  readonly self: (room: string) => string | null
  readonly tell: (message: FromEngine) => void
}

const decoder = new TextDecoder()

/** Creates a reader that reads nothing yet. */
export function createReader({ root, settleMs, world, self, tell }: ReaderOptions): Reader {
  const topics = createTopics(root)
  const subscriptions = createSubscriptions()
  const rooms = new Map<string, RoomReader>()
  const users = new Map<string, UserDocument | null | undefined>()
  const filters = new Set<string>()
  let connected = false
  let bridgeUp = true
  let readsBridge = false

  function openRoom(room: string): RoomReader {
    const isLive = (): boolean => connected && bridgeUp
    return createRoomReader({
      room,
      topics,
      subscriptions,
      world,
      settleMs,
      isLive,
      self,
      tell,
    })
  }

  function want(readings: Readings): void {
    if (readings.rooms.size > 0 && !readsBridge) {
      readsBridge = true
      subscriptions.add(topics.bridgeStatus)
    }
    for (const room of readings.rooms) if (!rooms.has(room)) rooms.set(room, openRoom(room))
    for (const [room, reader] of rooms) {
      if (readings.rooms.has(room)) continue
      reader.close()
      rooms.delete(room)
    }
    for (const user of readings.users) {
      if (users.has(user)) continue
      users.set(user, undefined)
      subscriptions.add(topics.user(user))
    }
    for (const user of users.keys()) {
      if (readings.users.has(user)) continue
      users.delete(user)
      subscriptions.remove(topics.user(user))
    }
    for (const filter of readings.filters) {
      if (filters.has(filter)) continue
      filters.add(filter)
      subscriptions.add(filter)
    }
    for (const filter of filters) {
      if (readings.filters.has(filter)) continue
      filters.delete(filter)
      subscriptions.remove(filter)
    }
  }

  function refresh(wanted: Iterable<string>): void {
    for (const filter of wanted) subscriptions.refresh(filter)
  }

  function freshness(): void {
    for (const reader of rooms.values()) reader.onFreshness()
  }

  return {
    want,
    known(readings) {
      const known: FromEngine[] = []
      for (const room of readings.rooms) {
        const reader = rooms.get(room)
        if (reader) known.push(reader.full())
      }
      for (const user of readings.users) {
        const document = users.get(user)
        if (document !== undefined) known.push({ type: 'user', user, document })
      }
      // Who is the first to want something gets it by subscribing.
      refresh([...readings.filters].filter((filter) => filters.has(filter)))
      return known
    },
    refresh,
    connected(connection) {
      connected = true
      bridgeUp = true
      for (const reader of rooms.values()) reader.connected()
      subscriptions.connected(connection)
    },
    lost() {
      connected = false
      subscriptions.lost()
      for (const reader of rooms.values()) reader.lost()
      freshness()
    },
    onMessage(topic, payload, retain) {
      const wanted = [...filters].filter((filter) => matchesFilter(filter, topic))
      if (wanted.length > 0) tell({ type: 'message', filters: wanted, topic, payload, retain })
      if (!topic.startsWith(`${root}/`)) return
      const text = decoder.decode(payload)
      if (topic === topics.bridgeStatus) {
        bridgeUp = text !== 'offline'
        return freshness()
      }
      for (const reader of rooms.values()) reader.onMessage(topic, text)
      for (const user of users.keys()) {
        if (topic !== topics.user(user)) continue
        const document = parseUserDocument(text) ?? null
        users.set(user, document)
        tell({ type: 'user', user, document })
      }
    },
  }
}

/** What several pages want to read together. */
export function readingsOf(all: readonly Wants[]): Readings {
  return {
    rooms: new Set(all.flatMap(({ watched }) => watched)),
    users: new Set(all.flatMap(({ users }) => users)),
    filters: new Set(all.flatMap(({ filters }) => filters)),
  }
}

/** What is wanted after and was not before. */
export function addedReadings(before: Readings, after: Readings): Readings {
  const added = (a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...b].filter((item) => !a.has(item)))
  return {
    rooms: added(before.rooms, after.rooms),
    users: added(before.users, after.users),
    filters: added(before.filters, after.filters),
  }
}

/** Whether what was read is for a page that wants this. */
export function isFor(wants: Wants, message: FromEngine): boolean {
  switch (message.type) {
    case 'room':
      return wants.watched.includes(message.room)
    case 'user':
      return wants.users.includes(message.user)
    case 'message':
      return message.filters.some((filter) => wants.filters.includes(filter))
    case 'ready':
    case 'state':
    case 'ask-token':
    case 'done':
      return false
  }
}
