import { expect } from 'chai'
import {
  createMemoryStore,
  createRedisStore,
  readOnlineTime,
  readRoomAt,
  type Activity,
  type RoomSave,
  type Store,
} from '../../../bridge/index.ts'
import { createKeys } from '../../../bridge/store/redis/keys.ts'
import { connectRedis } from '../../../runtime/redis/connection.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { leave, member, saveOf, stateOf } from './samples.ts'

const HOUR = 3_600_000

interface Options {
  readonly maxActivity?: number
  readonly activityMs?: number
  readonly now?: () => number
}

function describeActivity(name: string, create: (options?: Options) => Promise<Store>): void {
  describe(`what ${name} remembers`, () => {
    // Redis keeps it by its own time.
    const day = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 86_400_000
    const blank = { user: 'ann', room: null, cause: null, durationMs: null } as const
    const gone = (at: number, durationMs: number): Activity => {
      return { ...blank, from: 'online', to: 'offline', cause: 'closed', at, durationMs }
    }

    async function save(
      store: Store,
      activity: readonly Activity[],
      rooms: readonly RoomSave[] = [],
    ): Promise<void> {
      const expected = (await store.loadUser('ann'))?.revision ?? 0
      const state = { ...stateOf('ann'), connections: [] }
      await store.saveUser(saveOf(state, { expected, rooms, activity }))
    }

    it('is how long a user was online on a day', async () => {
      const store = await create({ now: () => day })
      await save(store, [gone(day + HOUR, 2 * HOUR)])
      await save(store, [gone(day + 10 * HOUR, 3 * HOUR)])
      await save(store, [gone(day + 25 * HOUR, 2 * HOUR)])
      await save(store, [gone(day + 40 * HOUR, HOUR)])
      const answer = await readOnlineTime(store, 'ann', day, day + 24 * HOUR, Date.now())
      expect(answer.onlineMs).to.equal((1 + 3 + 1) * HOUR)
      expect(answer.sessions).to.have.length(3)
      expect(answer.complete).to.equal(true)
    })

    it('counts who is online still', async () => {
      const store = await create()
      const state = { ...stateOf('ann'), since: day + 23 * HOUR }
      await store.saveUser(saveOf(state))
      const until = day + 24 * HOUR
      const past = await readOnlineTime(store, 'ann', day, until, until + HOUR)
      expect(past).to.include({ onlineMs: HOUR })
      const now = await readOnlineTime(store, 'ann', until, until + 24 * HOUR, until + HOUR)
      expect(now.onlineMs).to.equal(HOUR)
      expect(now.sessions.at(-1)).to.include({ to: null })
    })

    it('is who was in a room at a time', async () => {
      const store = await create()
      const since = new Date(day + HOUR).toISOString()
      const joined = { ...member('ann'), since }
      await save(
        store,
        [{ ...blank, room: 'lobby', from: 'left', to: 'joined', at: day + HOUR }],
        [{ room: 'lobby', member: joined, leave: null }],
      )
      const at = async (hour: number): Promise<string[]> =>
        (await readRoomAt(store, 'lobby', day + hour * HOUR)).members.map(({ user }) => user)
      expect(await at(0.5)).to.deep.equal([])
      expect(await at(2)).to.deep.equal(['ann'])
      const left = { ...blank, room: 'lobby', from: 'joined', to: 'left' } as const
      await save(
        store,
        [{ ...left, cause: 'closed', at: day + 3 * HOUR, durationMs: 2 * HOUR }],
        [{ room: 'lobby', member: null, leave: { ...leave('ann'), since } }],
      )
      expect(await at(0.5)).to.deep.equal([])
      expect(await at(2)).to.deep.equal(['ann'])
      expect(await at(4)).to.deep.equal([])
    })

    it('is bounded, and says when something may be missing', async () => {
      const store = await create({ maxActivity: 100, now: () => 0 })
      const begin = Date.now() - HOUR
      for (let i = 0; i < 500; i++) await save(store, [gone(begin + i * 1000, 500)])
      const { entries } = await store.userActivity('ann', 0)
      expect(entries.length).to.be.within(100, 250)
      expect(entries.at(-1)?.at).to.equal(begin + 499_000)
      const isComplete = async (from: number): Promise<boolean> =>
        (await readOnlineTime(store, 'ann', from, Date.now(), Date.now())).complete
      expect(await isComplete(begin)).to.equal(false)
      expect(await isComplete(Date.now() + 61_000)).to.equal(true)
    })
  })
}

describeActivity('the memory store', async (options) =>
  createMemoryStore({ now: Date.now, maxActivity: 1000, ...options }),
)

describe('on Redis', () => {
  let server: RedisServer
  let stores = 0
  before(async () => {
    server = await startRedis()
  })
  after(() => server.close())

  async function create(options: Options = {}): Promise<Store> {
    const prefix = `activity${stores++}`
    const store = await createRedisStore({ url: server.url, prefix, maxActivity: 1000, ...options })
    onTeardown(() => store.close())
    return store
  }

  describeActivity('the Redis store', create)

  describe('what the Redis store remembers, when Redis loses it while the store is open', () => {
    const begin = Date.now()
    let now = begin
    let store: Store
    beforeEach(async () => {
      now = begin
      store = await create({ now: () => now })
      for (const user of ['ann', 'bob']) {
        const room = { room: `${user}'s`, member: member(user), leave: null }
        const activity: Activity[] = [null, room.room].map((name) => {
          const left = { user, room: name, cause: 'closed', at: now, durationMs: HOUR } as const
          return name === null
            ? { ...left, from: 'online', to: 'offline' }
            : { ...left, from: 'joined', to: 'left' }
        })
        await store.saveUser(saveOf(stateOf(user), { rooms: [room], activity }))
        await store.roomMembers(room.room)
      }
    })

    /** Of the user and of the room, how much is remembered and since when that is all, after the begin. */
    async function remembered(user: string): Promise<readonly (readonly [number, number])[]> {
      const logs = [await store.userActivity(user, 0), await store.roomActivity(`${user}'s`, 0)]
      return logs.map(({ entries, completeFrom }) => [entries.length, completeFrom - begin])
    }

    function both(entries: number, since: number): readonly (readonly [number, number])[] {
      return [
        [entries, since],
        [entries, since],
      ]
    }

    async function loseKeys(pattern: string): Promise<void> {
      const redis = await connectRedis({ url: server.url })
      onTeardown(() => redis.close())
      const found = (await redis.send('', ['KEYS', pattern])) as string[]
      expect(found).not.to.deep.equal([])
      await redis.send('', ['DEL', ...found])
    }

    it('is complete only since somebody has asked afterwards', async () => {
      now += HOUR
      expect(await remembered('ann')).to.deep.equal(both(1, 0))
      await server.restart('empty')
      expect(await remembered('ann')).to.deep.equal(both(0, HOUR))
      now += HOUR
      expect(await remembered('ann')).to.deep.equal(both(0, HOUR))
    })

    it('is complete since a bridge has looked after the store, also where nobody has asked', async () => {
      await store.shared?.takeAbandoned()
      await server.restart('empty')
      now += 1000
      expect(await store.shared?.checkData(true)).to.deep.equal({ state: 'lacking' })
      await store.shared?.takeAbandoned()
      now += HOUR
      expect(await remembered('ann')).to.deep.equal(both(0, 1000))
    })

    it('is complete since then at the latest a minute after it was lost unnoticed', async () => {
      await store.shared?.takeAbandoned()
      await loseKeys(`activity${stores - 1}:*`)
      now += 60_000
      await store.shared?.takeAbandoned()
      now += HOUR
      expect(await remembered('ann')).to.deep.equal(both(0, 60_000))
    })

    it('stays complete in the parts that were not lost', async () => {
      const keys = createKeys(`activity${stores - 1}`)
      const lost = [keys.user('ann').activity, keys.room("ann's").activity]
      for (const key of lost) await loseKeys(key.replace(/activity$/, '*'))
      now += HOUR
      expect(await remembered('ann')).to.deep.equal(both(0, HOUR))
      expect(await remembered('bob')).to.deep.equal(both(1, 0))
    })

    it('is no less with a server that was started again with its data', async () => {
      now += HOUR
      await server.restart('with data')
      expect(await remembered('ann')).to.deep.equal(both(1, 0))
    })
  })

  it('a part of which all has grown too old is complete again since its last entry', async () => {
    let now = Date.now()
    const begin = now
    const store = await create({ now: () => now, activityMs: HOUR })
    const gone = { user: 'ann', room: null, from: 'online', to: 'offline' } as const
    const activity: Activity[] = Array.from({ length: 200 }, () => {
      return { ...gone, cause: 'closed', at: begin, durationMs: 1 }
    })
    await store.saveUser(saveOf(stateOf('ann'), { activity }))
    now += 2 * HOUR
    await store.shared?.takeAbandoned()
    const { entries, completeFrom } = await store.userActivity('ann', 0)
    expect(entries).to.deep.equal([])
    expect(completeFrom).to.be.within(begin + 1, begin + 70_000)
  })
})
