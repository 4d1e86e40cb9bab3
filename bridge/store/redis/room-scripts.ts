import type { RedisConnection } from '../../../runtime/redis/connection.ts'
import { ROOM_PARTS, type RoomKeys, type RoomShardKeys } from './keys.ts'
import type { RoomOperation } from './room-outbox.ts'
import { loadScript } from './script.ts'
import type { EmptyRoom } from '../store.ts'

/** What `flush-room.lua` answers. */
export type FlushReply =
  | { readonly status: 'unchanged' }
  /** Another store is publishing the room; it has this long to end. */
  | { readonly status: 'busy'; readonly ms: number }
  | {
      readonly status: 'taken'
      readonly version: number
      readonly previous: number
      readonly size: number
      readonly whole: boolean
      /** User, member before, member after, leave; in turn, as JSON or empty. */
      readonly changes: readonly string[]
      /** User and entry, in turn. */
      readonly members: readonly string[]
      readonly strays: readonly string[]
    }

/** The scripts that work on rooms: one function for each. */
export interface RoomScripts {
  /** For each operation 1, 0 when it was known already, -1 when it comes too late. */
  applyRoom(
    keys: RoomKeys,
    room: string,
    now: number,
    operations: readonly RoomOperation[],
  ): Promise<readonly number[]>
  flushRoom(
    keys: RoomKeys,
    room: string,
    now: number,
    announceLimit: number,
    isLost: boolean,
  ): Promise<FlushReply>
  /** False when another store has published the room since. */
  confirmRoom(keys: RoomKeys, room: string, version: number): Promise<boolean>
  doubtRoom(keys: RoomKeys, room: string, now: number, strays: readonly string[]): Promise<void>
  /** The members are given as user and JSON, in turn. */
  restoreRoom(
    keys: RoomKeys,
    room: string,
    version: number,
    now: number,
    members: readonly string[],
  ): Promise<void>
  takeEmptyRooms(keys: RoomShardKeys, before: number, limit: number): Promise<readonly EmptyRoom[]>
}

/** How long a room remembers who has left, in milliseconds; what comes later than half of it is refused. */
const GONE_MS = 600_000

/** How long publishing a room may take before its store counts as dead, in milliseconds. */
const LEASE_MS = 2000

/** Loads the scripts. */
export function loadRoomScripts(
  redis: RedisConnection,
  owner: string,
  maxActivity: number,
): RoomScripts {
  const applyRoom = loadScript(redis, 'apply-room')
  const flushRoom = loadScript(redis, 'flush-room')
  const confirmRoom = loadScript(redis, 'confirm-room')
  const doubtRoom = loadScript(redis, 'doubt-room')
  const restoreRoom = loadScript(redis, 'restore-room')
  const takeEmptyRooms = loadScript(redis, 'take-empty-rooms')
  return {
    async applyRoom(k, room, now, operations) {
      const reply = await applyRoom(
        [k.members, k.changes, k.leaves, k.meta, k.gone, k.dirty, k.rooms, k.empty, k.activity],
        [
          room,
          String(now),
          String(GONE_MS),
          String(maxActivity),
          ...operations.flatMap((o) => [
            o.user,
            o.revision,
            o.issuedAt,
            o.member,
            o.leave,
            o.activity,
          ]),
        ],
      )
      return reply as readonly number[]
    },
    async flushRoom(k, room, now, announceLimit, isLost) {
      const reply = await flushRoom(
        [k.members, k.changes, k.leaves, k.meta, k.flights, k.strays, k.dirty],
        [room, String(now), String(announceLimit), owner, String(LEASE_MS), isLost ? '1' : '0'],
      )
      return decodeFlush(reply as FlushTuple | readonly [number] | null)
    },
    async confirmRoom({ changes, meta, flights, dirty }, room, version) {
      const args = [room, String(version)]
      return (await confirmRoom([changes, meta, flights, dirty], args)) === 1
    },
    async doubtRoom(
      { members, meta, flights, strays: key, dirty, rooms, empty },
      room,
      now,
      strays,
    ) {
      const keys = [members, meta, flights, key, dirty, rooms, empty]
      await doubtRoom(keys, [room, owner, String(now), ...strays])
    },
    async restoreRoom({ members: key, meta, rooms, empty }, room, version, now, members) {
      const args = [room, String(version), String(now), ...members]
      await restoreRoom([key, meta, rooms, empty], args)
    },
    async takeEmptyRooms({ dirty, rooms, empty, prefix }, before, limit) {
      const args = [String(before), String(limit), prefix, ...ROOM_PARTS]
      const taken = (await takeEmptyRooms([dirty, rooms, empty], args)) as readonly [
        string,
        string,
      ][]
      return taken.map(([room, version]) => ({ room, version: Number(version) }))
    },
  }
}

type FlushTuple = readonly [
  version: string,
  previous: string,
  size: number,
  whole: number,
  changes: readonly string[],
  members: readonly string[],
  strays: readonly string[],
]

function decodeFlush(reply: FlushTuple | readonly [number] | null): FlushReply {
  if (reply === null) return { status: 'unchanged' }
  if (reply.length === 1) return { status: 'busy', ms: reply[0] }
  const [version, previous, size, whole, changes, members, strays] = reply
  return {
    status: 'taken',
    version: Number(version),
    previous: Number(previous),
    size,
    whole: whole === 1,
    changes,
    members,
    strays,
  }
}
