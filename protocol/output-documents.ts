import { isCause, type Cause } from './causes.ts'
import type { Status } from './connection-document.ts'
import { isJsonObject, parseJson, type Json } from './json.ts'
import { parseTime, type IsoTime } from './time.ts'

/** Retained on `presence/users/{user}`. */
export interface UserDocument {
  readonly user: string
  readonly status: Status
  /** When the user came online, or, for `offline`, when it went. */
  readonly since: IsoTime
  /** When anything was last heard from it, as far as known at `version`. */
  readonly lastSeen: IsoTime
  /** Why it went offline; null while it is not. */
  readonly reason: Cause | null
  /** How many connections it has. */
  readonly connections: number
  readonly data: Json
  readonly version: number
}

/** One user in a room; retained on `presence/rooms/{room}/members/{user}`, and in snapshots and diffs. */
export interface Member {
  readonly user: string
  readonly status: Exclude<Status, 'offline'>
  /** When it joined the room. */
  readonly since: IsoTime
  readonly data: Json
}

/** A user that left a room. It was there from `since` to the time of the diff. */
export interface Leave {
  readonly user: string
  readonly reason: Cause
  readonly since: IsoTime
  readonly lastSeen: IsoTime
}

/** Retained on `presence/rooms/{room}`. */
export interface RoomSnapshot {
  readonly room: string
  readonly version: number
  readonly size: number
  /** Left out when the room is larger than the announce limit. */
  readonly members?: readonly Member[]
  /** `false` when `members` was left out. */
  readonly complete?: false
}

/** Published, not retained, on `presence/rooms/{room}/events`. */
export interface RoomDiff {
  readonly room: string
  readonly version: number
  /** The version this diff starts from. */
  readonly previous: number
  readonly size: number
  readonly joined: readonly Member[]
  readonly updated: readonly Member[]
  readonly left: readonly Leave[]
  /** `false` when the room is larger than the announce limit and the lists are left empty. */
  readonly complete?: false
}

/** Output documents nest a snapshot, a list, a member and its data: data of 32 levels fits. */
const MAX_DEPTH = 40

/** Parses a user document; undefined when it is none. */
export function parseUserDocument(text: string): UserDocument | undefined {
  const value = parseObject(text)
  if (!value) return undefined
  const fine =
    typeof value['user'] === 'string' &&
    isStatus(value['status']) &&
    isTime(value['since']) &&
    isTime(value['lastSeen']) &&
    (value['reason'] === null || isCause(value['reason'])) &&
    Number.isSafeInteger(value['connections']) &&
    value['data'] !== undefined &&
    Number.isSafeInteger(value['version'])
  return fine ? (value as unknown as UserDocument) : undefined
}

/** Parses a member document; undefined when it is none (an empty payload is a leave). */
export function parseMember(text: string): Member | undefined {
  const value = parseObject(text)
  return isMember(value) ? value : undefined
}

/** Parses a room snapshot; undefined when it is none. */
export function parseRoomSnapshot(text: string): RoomSnapshot | undefined {
  const value = parseObject(text)
  if (!value || !isRoomHead(value)) return undefined
  const members = value['members']
  const fine = members === undefined ? value['complete'] === false : isMembers(members)
  return fine ? (value as unknown as RoomSnapshot) : undefined
}

/** Parses a room diff; undefined when it is none. */
export function parseRoomDiff(text: string): RoomDiff | undefined {
  const value = parseObject(text)
  const fine =
    value &&
    isRoomHead(value) &&
    Number.isSafeInteger(value['previous']) &&
    isMembers(value['joined']) &&
    isMembers(value['updated']) &&
    Array.isArray(value['left']) &&
    value['left'].every(isLeave)
  return fine ? (value as unknown as RoomDiff) : undefined
}

type Fields = { readonly [key: string]: Json }

function parseObject(text: string): Fields | undefined {
  const json = parseJson(text, MAX_DEPTH)
  return json.ok && isJsonObject(json.value) ? json.value : undefined
}

function isRoomHead(value: Fields): boolean {
  return (
    typeof value['room'] === 'string' &&
    Number.isSafeInteger(value['version']) &&
    Number.isSafeInteger(value['size'])
  )
}

function isMembers(value: unknown): boolean {
  return Array.isArray(value) && value.every(isMember)
}

function isMember(value: unknown): value is Member {
  return (
    isJsonObject(value) &&
    typeof value['user'] === 'string' &&
    (value['status'] === 'online' || value['status'] === 'away') &&
    isTime(value['since']) &&
    value['data'] !== undefined
  )
}

function isLeave(value: unknown): value is Leave {
  return (
    isJsonObject(value) &&
    typeof value['user'] === 'string' &&
    isCause(value['reason']) &&
    isTime(value['since']) &&
    isTime(value['lastSeen'])
  )
}

function isStatus(value: unknown): value is Status {
  return value === 'online' || value === 'away' || value === 'offline'
}

function isTime(value: unknown): value is IsoTime {
  return typeof value === 'string' && !Number.isNaN(parseTime(value))
}
