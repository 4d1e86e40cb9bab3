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
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { leave, member, saveOf, stateOf } from './samples.ts'

const HOUR = 3_600_000

function describeActivity(name: string, create: (maxActivity?: number) => Promise<Store>): void {
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
      const store = await create()
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
      const store = await create(100)
      const begin = Date.now() - HOUR
      for (let i = 0; i < 500; i++) await save(store, [gone(begin + i * 1000, 500)])
      const { entries } = await store.userActivity('ann', 0)
      expect(entries.length).to.be.within(100, 250)
      expect(entries.at(-1)?.at).to.equal(begin + 499_000)
      expect(await readOnlineTime(store, 'ann', 0, Date.now(), Date.now())).to.include({
        complete: false,
      })
    })
  })
}

describeActivity('the memory store', async (maxActivity = 1000) =>
  createMemoryStore({ now: Date.now, maxActivity }),
)

describe('on Redis', () => {
  let server: RedisServer
  let stores = 0
  before(async () => {
    server = await startRedis()
  })
  after(() => server.close())

  describeActivity('the Redis store', async (maxActivity = 1000) => {
    const prefix = `activity${stores++}`
    const store = await createRedisStore({ url: server.url, prefix, maxActivity })
    onTeardown(() => store.close())
    return store
  })
})
