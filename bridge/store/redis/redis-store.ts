import { randomBytes } from 'node:crypto'
import type { SharedStore, Store } from '../store.ts'
import { connectRedis, type RedisAddress } from '../../../runtime/redis/connection.ts'
import { noteBegin } from './activity-stream.ts'
import { createRun, type Context } from './context.ts'
import { createKeys, type ActivityKeys } from './keys.ts'
import { createRoomOutbox, type RoomOutbox } from './room-outbox.ts'
import { createRoomTables } from './room-tables.ts'
import { loadSharedScripts } from './shared-scripts.ts'
import { brokerOfName } from './user-record.ts'
import { createUserTables } from './user-tables.ts'

/** Options of {@link createRedisStore}. */
export interface RedisStoreOptions extends RedisAddress {
  /** What all keys begin with; bridges with the same one share their presence. @default 'presence' */
  readonly prefix?: string
  /** Comings and goings that are remembered of one 64th of the users or rooms. @default 10000 */
  readonly maxActivity?: number
  /** For how long they are remembered, in milliseconds. @default 2592000000 (30 days) */
  readonly activityMs?: number
  /** Milliseconds since the epoch. @default the system's clock */
  readonly now?: () => number
}

/** How often what is remembered is looked after, in milliseconds. */
const TEND_MS = 60_000

/** For how long a broker may learn that it was taken for lost, in milliseconds. */
const LOST_MS = 3_600_000

/**
 * Keeps presence in Redis 7 or later, where it outlives the process and several bridges share it.
 * While Redis cannot be reached whatever is asked of the store waits.
 *
 * @throws RangeError for a bad prefix; whatever the connection ends with when Redis cannot be reached
 */
export async function createRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { prefix = 'presence', now = Date.now } = options
  const { maxActivity = 10_000, activityMs = 2_592_000_000 } = options
  const keys = createKeys(prefix)
  const redis = await connectRedis(options)
  let isClosed = false
  const owner = randomBytes(6).toString('base64url')
  const run = createRun(() => isClosed)
  const context: Context = { redis, keys, owner, now, maxActivity, run }
  const users = createUserTables(context, () => outbox)
  const rooms = createRoomTables(context, () => outbox)
  const outbox: RoomOutbox = createRoomOutbox({
    apply: (room, operations) => rooms.apply(room, operations),
    confirm: (operations) => users.confirmRooms(operations),
  })
  const scripts = loadSharedScripts(redis, keys, owner)
  let tendAt = 0
  /** What Redis was when its data was claimed. */
  let claimed = ''
  /** By how much Redis' clock is ahead of this process', in milliseconds. */
  let ahead: number | undefined

  const shared: SharedStore = {
    async beat(heardMs, bridge) {
      const sent = Date.now()
      const sentAt = ahead === undefined ? null : sent + ahead
      const beat = await run(() => scripts.beat(heardMs, sentAt, bridge))
      ahead = beat.late ? undefined : beat.time - (sent + Date.now()) / 2
      return beat
    },
    silentBridges: () => run(() => scripts.silentBridges()),
    forgetBridge: (store) =>
      run(async () => void (await redis.send(keys.names, ['HDEL', keys.names, store]))),
    endPause: () => run(() => scripts.endPause()),
    onLost: (listener) => redis.onLost(listener),
    checkData: (mayClaim) =>
      run(async () => {
        const id = await redis.incarnation()
        const check = await scripts.claimIncarnation(id, mayClaim ? 'claim' : 'look')
        if (check.state === 'lacking') {
          claimed = id
          tendAt = 0
        }
        return check
      }),
    renewClaim: () => run(async () => void (await scripts.claimIncarnation(claimed, 'renew'))),
    async dataRestored() {
      await outbox.settled()
      return run(() => scripts.claimIncarnation(claimed, 'done'))
    },
    leaveData: () => run(async () => void (await scripts.claimIncarnation(claimed, 'leave'))),
    async takeAbandoned() {
      if (now() >= tendAt) {
        tendAt = now() + TEND_MS
        await tendActivity()
      }
      const found = await users.takeAbandoned()
      const dirty = await rooms.abandonedRooms()
      return { users: found.users, rooms: [...new Set([...found.rooms, ...dirty])] }
    },
    async brokers() {
      const names = keys.users.map(({ brokers }) =>
        run(() => redis.send(brokers, ['SMEMBERS', brokers])),
      )
      const known = new Set(((await Promise.all(names)) as string[][]).flat().map(brokerOfName))
      return [...known].filter((broker) => broker !== null)
    },
    async markLost(broker) {
      const key = keys.lost(broker)
      await run(() => redis.send(key, ['SET', key, '1', 'PX', String(LOST_MS)]))
    },
    async takeLost(broker) {
      const key = keys.lost(broker)
      return (await run(() => redis.send(key, ['DEL', key]))) === 1
    },
  }

  const parts: readonly ActivityKeys[] = [...keys.users, ...keys.rooms]

  /** Each part may be lost for itself, so each says for itself since when it remembers. */
  async function beginActivity(): Promise<void> {
    await Promise.all(parts.map((part) => run(() => noteBegin(context, part))))
  }

  async function tendActivity(): Promise<void> {
    await beginActivity()
    const oldest = String(Math.max(0, now() - activityMs))
    await Promise.all(
      parts.map(({ activity: key }) =>
        run(() => redis.send(key, ['XTRIM', key, 'MINID', '~', oldest])),
      ),
    )
  }

  // Nobody waits for it: whoever asks before it is done notes it too.
  beginActivity().catch(() => {})

  return {
    ...users,
    ...rooms,
    shared,
    async close() {
      if (isClosed) return
      await withinTime(outbox.settled())
      isClosed = true
      redis.close()
    },
  }
}

/** How long a closing store waits for what is on its way, in milliseconds; the rest is found by others. */
const CLOSE_MS = 1000

async function withinTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))
  await Promise.race([work, timeout])
  clearTimeout(timer)
}
