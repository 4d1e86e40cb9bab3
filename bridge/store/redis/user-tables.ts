import type { Activity } from '../../activity/activity.ts'
import type { RoomSave, Store, UserSave } from '../store.ts'
import { readStream } from './activity-stream.ts'
import { formatMember } from './canonical-json.ts'
import type { Context } from './context.ts'
import type { UserKeys } from './keys.ts'
import type { RoomOperation, RoomOutbox } from './room-outbox.ts'
import { brokerName, brokersOf, formatHeard, parseRecord } from './user-record.ts'
import { loadUserScripts, type Fields, type UserScripts } from './user-scripts.ts'

/** The part of a store that is about users. */
export type UserTables = Pick<
  Store,
  | 'loadUser'
  | 'saveUser'
  | 'removeUser'
  | 'dueUsers'
  | 'nextDeadline'
  | 'usersWithDeadline'
  | 'usersOfBroker'
  | 'allUsers'
  | 'dirtyUsers'
  | 'clearUser'
  | 'userActivity'
> & {
  /** What other stores left half done: users to publish, and rooms that are told now what they were not. */
  takeAbandoned(): Promise<Abandoned>
  /** The rooms know these. */
  confirmRooms(operations: readonly RoomOperation[]): Promise<void>
}

interface Abandoned {
  readonly users: readonly string[]
  readonly rooms: readonly string[]
}

/** A mark that is older than this was left by a store that died, in milliseconds. */
const DIRTY_MS = 5000

/** What waits for a room for longer than this was left, too. */
const OUTBOX_MS = 3000

/** Fields that are read from a hash at once. */
const SCAN_COUNT = '1000'

/** Creates the tables of users. */
export function createUserTables(context: Context, outbox: () => RoomOutbox): UserTables {
  const { redis, keys, owner, run } = context
  const scripts: UserScripts = loadUserScripts(redis, owner, context.maxActivity)
  /** Marks that other stores left, by user, until the user has been published. */
  const left = new Map<string, Fields>()

  /** Asks every part, each where it lies. */
  function eachShard<T>(ask: (shard: UserKeys) => Promise<T>): Promise<T[]> {
    return Promise.all(keys.users.map((shard) => run(() => ask(shard))))
  }

  async function listAll(command: (shard: UserKeys) => readonly string[]): Promise<string[]> {
    const lists = await eachShard((shard) => {
      const args = command(shard)
      return redis.send(args[1] ?? '', args)
    })
    return (lists as string[][]).flat()
  }

  return {
    async loadUser(user) {
      const { states } = keys.user(user)
      const reply = await run(() => redis.send(states, ['HGET', states, user]))
      const record = reply as string | null
      return record === null ? undefined : parseRecord(record)
    },

    async saveUser(save) {
      const { user } = save.state
      const rooms = save.rooms.map((room) => toOperation(user, room, save.activity ?? []))
      const args = toArguments(save, rooms)
      const revision = await run(() => scripts.saveUser(keys.user(user), args))
      if (revision === undefined) return undefined
      for (const room of rooms) outbox().push({ ...room, revision, issuedAt: revision })
      return Number(revision)
    },

    removeUser: (user, revision) => run(() => scripts.removeUser(keys.user(user), user, revision)),

    async dueUsers(now, limit) {
      const range = ['-inf', String(now), 'WITHSCORES', 'LIMIT', '0', String(limit)]
      const lists = await eachShard(({ deadlines }) =>
        redis.send(deadlines, ['ZRANGEBYSCORE', deadlines, ...range]),
      )
      const due = lists.flatMap((list) => pairs(list as Fields))
      return due
        .toSorted(([, a], [, b]) => Number(a) - Number(b))
        .slice(0, limit)
        .map(([user]) => user)
    },

    async nextDeadline() {
      const lists = await eachShard(({ deadlines }) =>
        redis.send(deadlines, ['ZRANGE', deadlines, '0', '0', 'WITHSCORES']),
      )
      const times = lists.flatMap((list) => pairs(list as Fields).map(([, at]) => Number(at)))
      return times.length === 0 ? null : Math.min(...times)
    },

    usersWithDeadline: (before) =>
      listAll(({ deadlines }) => ['ZRANGEBYSCORE', deadlines, '-inf', `(${before}`]),

    usersOfBroker: (broker) =>
      listAll(({ brokers }) => ['SMEMBERS', `${brokers}:${brokerName(broker)}`]),

    async allUsers() {
      const users: string[] = []
      for (const { states } of keys.users) {
        let cursor = '0'
        do {
          const scan = ['HSCAN', states, cursor, 'COUNT', SCAN_COUNT]
          const reply = await run(() => redis.send(states, scan))
          const [next, fields] = reply as readonly [string, Fields]
          for (const [user] of pairs(fields)) users.push(user)
          cursor = next
        } while (cursor !== '0')
      }
      // A field that moves while the hash grows may come twice.
      return [...new Set(users)]
    },

    async dirtyUsers() {
      const fields = await listAll(({ dirty }) => ['HKEYS', dirty])
      return [...new Set(fields.map((field) => field.slice(owner.length)))]
    },

    async clearUser(user, revision) {
      const marks = left.get(user) ?? []
      const isLast = await run(() => scripts.confirmUser(keys.user(user), user, revision, marks))
      if (isLast) left.delete(user)
      return isLast
    },

    userActivity(user, since) {
      const part = keys.user(user)
      return run(() => readStream(context, part, since, (entry) => entry.user === user))
    },

    async takeAbandoned() {
      const found = await eachShard((shard) => scripts.listAbandoned(shard, DIRTY_MS, OUTBOX_MS))
      left.clear()
      const rooms = new Set<string>()
      for (const { time, dirty, outbox: operations } of found) {
        for (const [field, value] of pairs(dirty)) {
          const user = field.slice(owner.length)
          const mine = field.startsWith(owner)
          left.set(user, [...(left.get(user) ?? []), ...(mine ? [] : [field, value])])
        }
        for (const [field, value] of pairs(operations)) {
          const operation = parseOperation(field, value, time)
          outbox().push(operation)
          rooms.add(operation.room)
        }
      }
      return { users: [...left.keys()], rooms: [...rooms] }
    },

    async confirmRooms(operations) {
      const byShard = new Map<UserKeys, string[]>()
      for (const { user, room, revision } of operations) {
        const shard = keys.user(user)
        const fields = byShard.get(shard) ?? []
        byShard.set(shard, fields)
        fields.push(outboxField(user, room), revision)
      }
      await Promise.all(
        Array.from(byShard, ([shard, fields]) => run(() => scripts.confirmOutbox(shard, fields))),
      )
    },
  }
}

/** An operation that has no revision yet. */
type Draft = Omit<RoomOperation, 'revision' | 'issuedAt'>

function toOperation(user: string, save: RoomSave, activity: readonly Activity[]): Draft {
  const { room, member, leave } = save
  const entry = activity.find((one) => one.room === room)
  return {
    room,
    user,
    member: member ? formatMember(member) : '',
    leave: leave ? JSON.stringify(leave) : '',
    activity: entry ? JSON.stringify(entry) : '',
  }
}

function toArguments(
  { state, expected, deadline, dirty, activity = [], heard }: UserSave,
  rooms: readonly Draft[],
): Parameters<UserScripts['saveUser']>[1] {
  return {
    user: state.user,
    expected,
    brokers: brokersOf(state),
    heard: formatHeard(heard ?? []),
    state: JSON.stringify(state),
    deadline,
    dirty,
    activity: activity.filter(({ room }) => room === null).map((entry) => JSON.stringify(entry)),
    outbox: rooms.flatMap(({ user, room, member, leave, activity: entry }) => [
      outboxField(user, room),
      [member, leave, entry].join('\n'),
    ]),
  }
}

function outboxField(user: string, room: string): string {
  return JSON.stringify([user, room])
}

/** JSON has no line breaks outside of strings, and escapes those within. */
function parseOperation(field: string, value: string, time: string): RoomOperation {
  const [user, room] = JSON.parse(field) as [string, string]
  const [head = '', member = '', leave = '', activity = ''] = value.split('\n')
  const revision = head.slice(0, head.indexOf(' '))
  return { room, user, revision, issuedAt: time, member, leave, activity }
}

function pairs(flat: Fields): (readonly [string, string])[] {
  const list: (readonly [string, string])[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return list
}
