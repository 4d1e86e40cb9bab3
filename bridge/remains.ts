import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  isJsonObject,
  parseJson,
  parseMember,
  parseRoomSnapshot,
  parseTopic,
  parseUserDocument,
  type Member,
  type RoomSnapshot,
  type Topics,
  type UserDocument,
} from '../protocol/index.ts'
import type { UserState } from './core/index.ts'
import type { Link } from './link/link.ts'

/** A user's state, and when it was written, in milliseconds since the epoch. */
interface JournalEntry {
  readonly at: number
  readonly state: UserState
}

/** Members of rooms, by room and user. */
export type MembersByRoom = ReadonlyMap<string, ReadonlyMap<string, Member>>

/** What an earlier life of the bridge left on the broker. */
export interface Remains {
  /** The journal, if one was kept. */
  readonly journal: ReadonlyMap<string, JournalEntry>
  readonly users: ReadonlyMap<string, UserDocument>
  /** The plain statuses of users. */
  readonly statuses: ReadonlyMap<string, string>
  readonly rooms: ReadonlyMap<string, RoomSnapshot>
  /** The plain sizes of rooms. */
  readonly counts: ReadonlyMap<string, string>
  /** The retained member topics. */
  readonly members: MembersByRoom
}

/** Messages that are read before other work gets its turn. */
const SLICE = 500

/** A state of a user with many rooms nests no deeper than this. */
const MAX_DEPTH = 48

/** Reads what is retained on the output plane; what is not understood is left alone. */
export async function readRemains(link: Link, topics: Topics): Promise<Remains> {
  const { root } = topics
  const plain = ['users/+/status', 'rooms/+/count']
  const filters = ['users/+', 'rooms/+', 'rooms/+/members/+', 'bridge/state/+', ...plain]
  const journal = new Map<string, JournalEntry>()
  const users = new Map<string, UserDocument>()
  const statuses = new Map<string, string>()
  const rooms = new Map<string, RoomSnapshot>()
  const counts = new Map<string, string>()
  const members = new Map<string, Map<string, Member>>()
  const decoder = new TextDecoder()
  let read = 0
  for (const message of await link.readRetained(filters.map((filter) => `${root}/${filter}`))) {
    if (++read % SLICE === 0) await nextTurn()
    const topic = parseTopic(root, message.topic)
    const text = decoder.decode(message.payload)
    if (topic?.kind === 'user') {
      const document = parseUserDocument(text)
      if (document) users.set(topic.user, document)
    } else if (topic?.kind === 'room') {
      const snapshot = parseRoomSnapshot(text)
      if (snapshot) rooms.set(topic.room, snapshot)
    } else if (topic?.kind === 'userStatus') {
      statuses.set(topic.user, text)
    } else if (topic?.kind === 'roomCount') {
      counts.set(topic.room, text)
    } else if (topic?.kind === 'member') {
      const member = parseMember(text)
      if (member) nested(members, topic.room).set(topic.user, member)
    } else if (topic?.kind === 'bridgeState') {
      const entry = parseEntry(text, topic.user)
      if (entry) journal.set(topic.user, entry)
    }
  }
  return { journal, users, statuses, rooms, counts, members }
}

/** The inner map of a key, made when there is none. */
function nested<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let map = maps.get(key)
  if (!map) maps.set(key, (map = new Map()))
  return map
}

/** An entry as this code wrote it; only its shape is looked at. */
function parseEntry(text: string, user: string): JournalEntry | undefined {
  const json = parseJson(text, MAX_DEPTH)
  if (!json.ok || !isJsonObject(json.value)) return undefined
  const { at, state } = json.value
  if (!Number.isSafeInteger(at) || !isJsonObject(state)) return undefined
  const { user: name, connections, ended, memberships, version, order } = state
  const fine =
    name === user &&
    Array.isArray(connections) &&
    Array.isArray(ended) &&
    Array.isArray(memberships) &&
    Number.isSafeInteger(version) &&
    Number.isSafeInteger(order)
  return fine ? (json.value as unknown as JournalEntry) : undefined
}
