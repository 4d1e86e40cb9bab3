import type { Leave, Member } from '../../../protocol/index.ts'
import { listChanges } from '../../core/index.ts'
import type { EmptyRoom, RoomFlush, Store } from '../store.ts'
import { readStream } from './activity-stream.ts'
import { formatMember } from './canonical-json.ts'
import { isPassing } from '../../../runtime/redis/connection.ts'
import type { Context } from './context.ts'
import type { RoomShardKeys } from './keys.ts'
import type { RoomOperation, RoomOutbox } from './room-outbox.ts'
import { loadRoomScripts, type FlushReply } from './room-scripts.ts'

/** The part of a store that is about rooms. */
export type RoomTables = Pick<
  Store,
  | 'dirtyRooms'
  | 'roomSize'
  | 'flushRoom'
  | 'clearRoom'
  | 'restoreRoom'
  | 'doubtRoom'
  | 'takeEmptyRooms'
  | 'allRooms'
  | 'roomMembers'
  | 'roomActivity'
> & {
  apply(room: string, operations: readonly RoomOperation[]): Promise<readonly number[]>
  /** Rooms that have waited for so long that whoever should publish them has died. */
  abandonedRooms(): Promise<readonly string[]>
}

/** A room that is dirty for longer than this was left by a store that died, in milliseconds. */
const DIRTY_MS = 5000

/** How often a room is asked for that another store is publishing, in milliseconds. */
const BUSY_MS = 20

/** Creates the tables of rooms. */
export function createRoomTables(context: Context, outbox: () => RoomOutbox): RoomTables {
  const { redis, keys, owner, now, run } = context
  const scripts = loadRoomScripts(redis, owner, context.maxActivity)
  /** Rooms of which a flush was taken whose answer was lost. */
  const lost = new Set<string>()

  async function listAll(command: (shard: RoomShardKeys) => readonly string[]): Promise<string[]> {
    const ask = (shard: RoomShardKeys): Promise<unknown> => {
      const args = command(shard)
      return run(() => redis.send(args[1] ?? '', args))
    }
    return ((await Promise.all(keys.rooms.map(ask))) as string[][]).flat()
  }

  async function take(room: string, at: number, announceLimit: number): Promise<FlushReply> {
    for (;;) {
      const reply = await run(async () => {
        const isLost = lost.delete(room)
        try {
          return await scripts.flushRoom(keys.room(room), room, at, announceLimit, isLost)
        } catch (error) {
          // Perhaps it was taken: then nobody has it, and the whole room has to be told again.
          if (isLost || isPassing(error)) lost.add(room)
          throw error
        }
      })
      if (reply.status !== 'busy') return reply
      await new Promise((resolve) => setTimeout(resolve, Math.min(BUSY_MS, reply.ms)))
    }
  }

  return {
    apply: (room, operations) =>
      run(() => scripts.applyRoom(keys.room(room), room, now(), operations)),

    async dirtyRooms() {
      await outbox().settled()
      return listAll(({ dirty }) => ['ZRANGE', dirty, '0', '-1'])
    },

    async roomSize(room) {
      await outbox().settled(room)
      const { members } = keys.room(room)
      return Number(await run(() => redis.send(members, ['HLEN', members])))
    },

    async flushRoom(room, at, announceLimit) {
      await outbox().settled(room)
      const reply = await take(room, at, announceLimit)
      return reply.status === 'taken' ? toFlush(room, reply, announceLimit) : undefined
    },

    clearRoom: (room, version) => run(() => scripts.confirmRoom(keys.room(room), room, version)),

    async restoreRoom(room, version, shown) {
      const members = shown.flatMap((member) => [member.user, formatMember(member)])
      await run(() => scripts.restoreRoom(keys.room(room), room, version, now(), members))
    },

    doubtRoom: (room, strays = []) =>
      run(() => scripts.doubtRoom(keys.room(room), room, now(), strays)),

    async takeEmptyRooms(before, limit) {
      await outbox().settled()
      const taken: EmptyRoom[] = []
      for (const shard of keys.rooms) {
        if (taken.length >= limit) break
        const wanted = limit - taken.length
        taken.push(...(await run(() => scripts.takeEmptyRooms(shard, before, wanted))))
      }
      return taken
    },

    async allRooms() {
      await outbox().settled()
      return listAll(({ rooms }) => ['SMEMBERS', rooms])
    },

    async roomMembers(room) {
      await outbox().settled(room)
      const { members } = keys.room(room)
      const entries = await run(() => redis.send(members, ['HGETALL', members]))
      return parseMembers(entries as readonly string[])
    },

    async roomActivity(room, since) {
      const part = keys.room(room)
      return run(() => readStream(context, part, since, (entry) => entry.room === room))
    },

    abandonedRooms: () =>
      // By the clock of this process: a second more or less does no harm here.
      listAll(({ dirty }) => ['ZRANGEBYSCORE', dirty, '-inf', String(Date.now() - DIRTY_MS)]),
  }
}

function toFlush(
  room: string,
  reply: Extract<FlushReply, { status: 'taken' }>,
  announceLimit: number,
): RoomFlush {
  const { version, previous, size, whole, strays } = reply
  const complete = size <= announceLimit
  return {
    room,
    version,
    previous,
    size,
    complete,
    members: complete || whole ? parseMembers(reply.members) : null,
    whole,
    strays,
    ...listChanges(parseChanges(reply.changes)),
  }
}

function* parseChanges(changes: readonly string[]): Generator<{
  user: string
  before: Member | null
  after: Member | null
  leave: Leave | null
}> {
  for (let i = 0; i < changes.length; i += 4) {
    const [user = '', before, after, leave] = changes.slice(i, i + 4)
    yield {
      user,
      before: parse(before) as Member | null,
      after: parse(after) as Member | null,
      leave: parse(leave) as Leave | null,
    }
  }
}

/** Members as `HGETALL` gives them: user and `revision place member`, in turn. */
function parseMembers(entries: readonly string[]): readonly Member[] {
  const members: { readonly place: number; readonly member: Member }[] = []
  for (let i = 1; i < entries.length; i += 2) {
    const entry = entries[i] ?? ''
    const place = entry.indexOf(' ')
    const json = entry.indexOf(' ', place + 1)
    members.push({
      place: Number(entry.slice(place, json)),
      member: JSON.parse(entry.slice(json)) as Member,
    })
  }
  return members.toSorted((a, b) => a.place - b.place).map(({ member }) => member)
}

function parse(json: string | undefined): unknown {
  return json === undefined || json === '' ? null : JSON.parse(json)
}
