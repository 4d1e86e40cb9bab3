import {
  jsonEqual,
  type Cause,
  type ConnectionDocument,
  type GraceOverrides,
  type Json,
} from '../../protocol/index.ts'
import { connectionGrace, roomGrace, type Policy } from './policy.ts'
import type {
  ConnectionState,
  EndedConnection,
  GraceConnection,
  RoomEntry,
  UpConnection,
} from './state.ts'

/** Ended ids that are remembered for one user. A late will comes seconds late, not hundreds of connections. */
const MAX_ENDED = 32

/** When the client was last heard: our brokers tell; everybody else speaks now. */
export function heardAt({ broker, lastSeen }: ConnectionDocument, now: number): number {
  return broker === undefined || lastSeen === undefined ? now : Math.min(lastSeen, now)
}

/** Whether a broker of ours says again what it has said before, to answer a roll call. */
export function isRepetition({ broker, lastSeen, status }: ConnectionDocument): boolean {
  return broker !== undefined && lastSeen !== undefined && status !== 'offline'
}

/**
 * Whether a connection that is repeated is older than one of its client that is up: of two brokers each may
 * repeat one, in any order. The ids of one broker sort by time. Of two brokers the connection that was heard
 * later counts, since a client gives one up before it makes another.
 */
export function isOlder(
  { broker, connection = '', lastSeen = 0 }: ConnectionDocument,
  current: ConnectionState,
): boolean {
  if (current.status !== 'up') return false
  if (broker === current.broker) return connection < current.id
  return lastSeen <= current.lastSeen
}

/** The claim in a document, if a broker of ours says it. */
export function claimOf({ broker, claim }: ConnectionDocument): { readonly claim?: number } {
  return broker === undefined || claim === undefined ? {} : { claim }
}

/**
 * Whether a connection is known to have been replaced: one of its client, that is there or is over, has a later
 * claim. Announcements of two brokers come in any order, and so do ends and beginnings.
 */
export function isReplaced(
  { claim }: { readonly claim?: number },
  client: string,
  known: readonly { readonly client: string; readonly claim?: number }[],
): boolean {
  if (claim === undefined) return false
  return known.some((other) => other.client === client && (other.claim ?? 0) > claim)
}

/** A connection as its first document makes it. */
export function openConnection(
  id: string,
  client: string,
  document: ConnectionDocument,
  order: number,
  heard: number,
): UpConnection {
  const blank: UpConnection = {
    status: 'up',
    id,
    client,
    broker: document.broker ?? null,
    ...claimOf(document),
    away: false,
    rooms: [],
    data: undefined,
    dataOrder: -1,
    seq: -1,
    grace: null,
    lastSeen: heard,
  }
  return updateConnection(blank, document, order, heard)
}

/** A connection after a further document: up again, whatever it was. */
export function updateConnection(
  connection: ConnectionState,
  document: ConnectionDocument,
  order: number,
  heard: number,
): UpConnection {
  const { data } = document
  // What is said again keeps its place: a roll call must not turn an older connection's data into the newest.
  const isNews = data !== undefined && !jsonEqual(data, connection.data)
  return {
    status: 'up',
    id: connection.id,
    client: connection.client,
    broker: document.broker ?? connection.broker,
    ...(connection.claim === undefined ? claimOf(document) : { claim: connection.claim }),
    away: document.status === 'away',
    rooms: document.rooms
      ? nameRooms(document.rooms, connection.rooms, order)
      : holdRooms(connection),
    data: isNews ? data : connection.data,
    dataOrder: isNews ? order : connection.dataOrder,
    seq: document.seq ?? connection.seq,
    grace: document.grace ?? connection.grace,
    lastSeen: Math.max(connection.lastSeen, heard),
  }
}

function nameRooms(
  rooms: ReadonlyMap<string, Json>,
  before: readonly RoomEntry[],
  order: number,
): readonly RoomEntry[] {
  const named: RoomEntry[] = []
  for (const [room, data] of rooms) {
    const known = before.find((entry) => entry.room === room)
    const isKnown = known !== undefined && jsonEqual(known.data, data)
    named.push(isKnown ? holdRoom(known) : { room, data, order, deadline: null })
  }
  const isSame = named.length === before.length && named.every((entry, i) => entry === before[i])
  return isSame ? before : named
}

function holdRooms({ status, rooms }: ConnectionState): readonly RoomEntry[] {
  return status === 'up' ? rooms : rooms.map(holdRoom)
}

function holdRoom(entry: RoomEntry): RoomEntry {
  return entry.deadline === null ? entry : holdUntil(entry, null)
}

function holdUntil({ room, data, order }: RoomEntry, deadline: number | null): RoomEntry {
  return { room, data, order, deadline }
}

/** How a connection ended, and what its last document says besides. */
export interface End {
  readonly cause: Cause
  readonly lastSeen: number
  readonly seq?: number | undefined
  readonly grace?: GraceOverrides | null | undefined
}

/** A connection after its end. An end after an end may bring deadlines forward, never back. */
export function endConnection(
  connection: ConnectionState,
  { cause, lastSeen, seq = connection.seq, grace = connection.grace }: End,
  now: number,
  policy: Policy,
): GraceConnection {
  const deadline = now + connectionGrace(policy, cause, grace)
  const earlier = connection.status === 'grace' && connection.deadline <= deadline
  return {
    status: 'grace',
    cause: earlier ? connection.cause : cause,
    deadline: earlier ? connection.deadline : deadline,
    id: connection.id,
    client: connection.client,
    broker: connection.broker,
    ...(connection.claim !== undefined && { claim: connection.claim }),
    away: connection.away,
    rooms: connection.rooms.map((entry) => {
      const roomDeadline = now + roomGrace(policy, cause, entry.room, grace)
      const isEarlier = entry.deadline !== null && entry.deadline <= roomDeadline
      return isEarlier ? entry : holdUntil(entry, roomDeadline)
    }),
    data: connection.data,
    dataOrder: connection.dataOrder,
    seq,
    grace,
    lastSeen: connection.status === 'up' ? lastSeen : connection.lastSeen,
  }
}

/** Moves the deadlines of a connection in grace. */
export function shiftConnection(connection: ConnectionState, byMs: number): ConnectionState {
  if (connection.status === 'up') return connection
  return {
    ...connection,
    deadline: connection.deadline + byMs,
    rooms: connection.rooms.map((entry) =>
      entry.deadline === null ? entry : { ...entry, deadline: entry.deadline + byMs },
    ),
  }
}

/** Drops the rooms whose time is up; null when nothing holds the connection any more. */
export function expireConnection(connection: ConnectionState, now: number): ConnectionState | null {
  if (connection.status === 'up') return connection
  const rooms = connection.rooms.filter(({ deadline }) => deadline === null || deadline > now)
  if (rooms.length === 0 && connection.deadline <= now) return null
  return rooms.length === connection.rooms.length ? connection : { ...connection, rooms }
}

/** Remembers that connections are over; the connection without an id can always come again. */
export function rememberEnded(
  ended: readonly EndedConnection[],
  more: readonly EndedConnection[],
): readonly EndedConnection[] {
  const fresh = more
    .filter(({ client, id }) => id !== '' && !hasEnded(ended, client, id))
    .map(({ client, id, claim }) => ({ client, id, ...(claim !== undefined && { claim }) }))
  return fresh.length === 0 ? ended : [...ended, ...fresh].slice(-MAX_ENDED)
}

/** Whether a connection is over for good. */
export function hasEnded(ended: readonly EndedConnection[], client: string, id: string): boolean {
  return ended.some((entry) => entry.id === id && entry.client === client)
}

/**
 * What tells the connections of one user apart in a roll call. A document without a connection id
 * speaks for whatever connection its client has.
 */
export function connectionKey(client: string, id: string | undefined): string {
  return id === undefined ? `${client}\u0000*` : `${client}\u0000=${id}`
}

/** Whether a connection is among those that answered. */
export function hasAnswered(alive: ReadonlySet<string>, { client, id }: ConnectionState): boolean {
  return alive.has(connectionKey(client, id)) || alive.has(connectionKey(client, undefined))
}
