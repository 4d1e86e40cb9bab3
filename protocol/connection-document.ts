import { isCause, type Cause } from './causes.ts'
import { parseDuration } from './duration.ts'
import { isJsonObject, parseJson, type Json } from './json.ts'
import { failure, show, success, type Result } from './result.ts'
import { formatTime, parseTime } from './time.ts'
import { isValidId } from './topics.ts'
import { isLonger, utf8Length } from './utf8.ts'

/** What others see of a user: `away` counts as online wherever only two values fit. */
export type Status = 'online' | 'away' | 'offline'

/** How long each cause's grace is for one connection, in milliseconds. */
export type GraceOverrides = Readonly<Partial<Record<Cause, number>>>

/**
 * What is published on `presence/connections/{user}/{client}`: the full state of one connection.
 * Everything but `status` is optional, and a repeated document does no harm.
 */
export interface ConnectionDocument {
  readonly status: Status
  /** The connection id. Sorts by time among the connections of one broker. */
  readonly connection?: string
  /** Orders the documents of one connection; a lower one than the last is stale. */
  readonly seq?: number
  /** The rooms the connection is in, with the member data. Absent: unchanged. */
  readonly rooms?: ReadonlyMap<string, Json>
  /** The user's data. Absent: unchanged. */
  readonly data?: Json
  /** For `offline`: how it ended. */
  readonly reason?: Cause
  /** This connection's own graces, in milliseconds. */
  readonly grace?: GraceOverrides
  /** How late a keepalive may be while the socket answers pings, in milliseconds. */
  readonly tolerance?: number
  /**
   * A secret between the client and its own broker, never passed on: who posts it to the server's
   * `/unload` says that the page of this connection is unloading.
   */
  readonly unloadKey?: string
  /** Set by one of our brokers: its id. What carries it was checked by that broker. */
  readonly broker?: string
  /** Set by one of our brokers: the network connection is over, so its id never comes back. */
  readonly ended?: boolean
  /** Set by one of our brokers: when it last heard from the client, in milliseconds since the epoch. */
  readonly lastSeen?: number
  /**
   * Set by one of our brokers: a number that grows with each of its documents, by which bridges on one
   * store know a document that another one has applied.
   */
  readonly stamp?: number
  /**
   * The number of the claim by which the connection has its client id: of two connections of one client the one
   * with the higher number is the later one, at whatever brokers. Only brokers of ours that are several say it.
   */
  readonly claim?: number
}

/** Bounds on what a document may bring. */
export interface DocumentLimits {
  /** The size of a document, in bytes of UTF-8. */
  readonly maxDocumentSize: number
  /** The number of rooms of one connection. */
  readonly maxRooms: number
  /** The nesting of a document: its own braces are the first level. */
  readonly maxDepth: number
}

/** The bounds that hold where no others are set: 64 KiB, 100 rooms, 32 levels. */
export const DEFAULT_DOCUMENT_LIMITS: DocumentLimits = {
  maxDocumentSize: 65_536,
  maxRooms: 100,
  maxDepth: 32,
}

/**
 * Parses a connection document: JSON, or plain `online`, `offline`, `away` in any case, or nothing,
 * which is an explicit leave.
 */
export function parseConnectionDocument(
  text: string,
  limits: DocumentLimits = DEFAULT_DOCUMENT_LIMITS,
): Result<ConnectionDocument> {
  if (isLonger(text, limits.maxDocumentSize)) {
    return failure(describeSize(utf8Length(text), limits))
  }
  const plain = text.length > 16 ? text : text.trim().toLowerCase()
  if (plain === '') return success({ status: 'offline', reason: 'left' })
  if (isStatus(plain)) return success({ status: plain })
  const json = parseJson(text, limits.maxDepth)
  if (!json.ok) {
    return failure(`${json.error}: ${show(text)}`)
  }
  if (!isJsonObject(json.value)) {
    return failure(`expected an object or one of online, away, offline, got ${show(json.value)}`)
  }
  return readFields(json.value, limits)
}

/** What is wrong with a document that is too large, by its size in bytes. */
export function describeSize(size: number, { maxDocumentSize }: DocumentLimits): string {
  return `expected at most ${maxDocumentSize} bytes, got ${size} bytes`
}

/** The shortest unload key. */
const MIN_UNLOAD_KEY = 16

type Fields = { readonly [key: string]: Json }
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function readFields(fields: Fields, limits: DocumentLimits): Result<ConnectionDocument> {
  const { status, connection, seq, rooms, reason, grace, tolerance } = fields
  const { unloadKey, broker, ended, lastSeen, stamp, claim } = fields
  if (!isStatus(status)) {
    return failure(`expected status online, away or offline, got ${show(status)}`)
  }
  const document: Mutable<ConnectionDocument> = { status }
  if (connection !== undefined) {
    if (!isId(connection)) return wrong('connection', 'an id of 1 to 256 characters', connection)
    document.connection = connection
  }
  if (seq !== undefined) {
    if (!isCount(seq)) return wrong('seq', 'a whole number from 0', seq)
    document.seq = seq
  }
  if (rooms !== undefined) {
    const parsed = readRooms(rooms, limits)
    if (!parsed.ok) return parsed
    document.rooms = parsed.value
  }
  if (fields['data'] !== undefined) document.data = fields['data']
  if (reason !== undefined) {
    if (!isCause(reason)) return wrong('reason', 'a cause such as left or unload', reason)
    document.reason = reason
  }
  if (grace !== undefined) {
    const parsed = readGrace(grace)
    if (!parsed.ok) return parsed
    document.grace = parsed.value
  }
  if (tolerance !== undefined) {
    const parsed = parseDuration(tolerance)
    if (!parsed.ok) return wrong('tolerance', 'a duration such as 0 or 30s', tolerance)
    document.tolerance = parsed.value
  }
  if (unloadKey !== undefined) {
    // What could be guessed is no secret.
    if (!isId(unloadKey) || unloadKey.length < MIN_UNLOAD_KEY) {
      return failure(`unloadKey: expected ${MIN_UNLOAD_KEY} to 256 characters, got something else`)
    }
    document.unloadKey = unloadKey
  }
  if (broker !== undefined) {
    if (!isId(broker)) return wrong('broker', 'an id of 1 to 256 characters', broker)
    document.broker = broker
  }
  if (ended !== undefined) {
    if (typeof ended !== 'boolean') return wrong('ended', 'true or false', ended)
    document.ended = ended
  }
  if (lastSeen !== undefined) {
    const at = typeof lastSeen === 'string' ? parseTime(lastSeen) : Number.NaN
    if (Number.isNaN(at)) return wrong('lastSeen', 'an ISO 8601 time', lastSeen)
    document.lastSeen = at
  }
  if (stamp !== undefined) {
    if (!isCount(stamp) || stamp === 0) return wrong('stamp', 'a whole number from 1', stamp)
    document.stamp = stamp
  }
  if (claim !== undefined) {
    if (!isCount(claim) || claim === 0) return wrong('claim', 'a whole number from 1', claim)
    document.claim = claim
  }
  return success(document)
}

function readRooms(rooms: Json, limits: DocumentLimits): Result<ReadonlyMap<string, Json>> {
  if (!isJsonObject(rooms)) return wrong('rooms', 'an object of room: member data', rooms)
  const entries = Object.entries(rooms)
  if (entries.length > limits.maxRooms) {
    return failure(`expected at most ${limits.maxRooms} rooms, got ${entries.length}`)
  }
  const bad = entries.find(([room]) => !isValidId(room))
  if (bad) return failure(`expected room names of 1 to 256 characters, got ${show(bad[0])}`)
  return success(new Map(entries))
}

function readGrace(grace: Json): Result<GraceOverrides> {
  if (!isJsonObject(grace)) return wrong('grace', 'an object of cause: duration', grace)
  const result: Partial<Record<Cause, number>> = {}
  for (const [cause, value] of Object.entries(grace)) {
    if (!isCause(cause)) return wrong('grace', 'causes such as closed or unload', cause)
    const duration = parseDuration(value)
    if (!duration.ok) return failure(`grace.${cause}: ${duration.error}`)
    result[cause] = duration.value
  }
  return success(result)
}

function wrong(field: string, expected: string, got: unknown): Result<never> {
  return failure(`${field}: expected ${expected}, got ${show(got)}`)
}

function isStatus(value: unknown): value is Status {
  return value === 'online' || value === 'away' || value === 'offline'
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && isValidId(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Writes a connection document as JSON. */
export function formatConnectionDocument(document: ConnectionDocument): string {
  const { rooms, lastSeen, ...rest } = document
  return JSON.stringify({
    ...rest,
    ...(rooms && { rooms: Object.fromEntries(rooms) }),
    ...(lastSeen !== undefined && { lastSeen: formatTime(lastSeen) }),
  })
}
