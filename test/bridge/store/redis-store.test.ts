import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { createRedisStore, type HeardLog, type Store } from '../../../bridge/index.ts'
import {
  startRedis,
  startRedisCluster,
  type RedisCluster,
  type RedisServer,
} from '../../helpers/redis.ts'
import { describeStore } from './describe-store.ts'
import { connectRedis } from '../../../runtime/redis/connection.ts'
import { member, saveOf, stateOf } from './samples.ts'

let stores = 0

describe('on one server', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server.close())

  describeStore('the Redis store', (now) =>
    createRedisStore({ url: server.url, prefix: `test${stores++}`, now }),
  )

  describe('what bridges on one store tell each other', () => {
    let store: Store
    let other: Store
    beforeEach(async () => {
      const prefix = `test${stores++}`
      store = await createRedisStore({ url: server.url, prefix })
      other = await createRedisStore({ url: server.url, prefix })
    })
    afterEach(() => Promise.all([store.close(), other.close()]))

    it('is which documents were applied', async () => {
      const at = 1_700_000_000_000
      const first = at * 1000
      const heard: HeardLog = [
        {
          client: 'Aa0_-bcd',
          broker: 'b-_roker',
          floor: first,
          newest: [
            ['con-_ct1', first + 1],
            ['con-_ct2', 2 * first],
          ],
          at,
        },
        { client: 'Aa0_-bcd', last: 'docu-_nt', count: 41, born: at - 5, at: at + 1 },
        { client: 'client-2', broker: 'b-_roker', floor: 0, newest: [['con-_ct1', 1]], at },
      ]
      const revision = await store.saveUser(saveOf(stateOf('ann'), { heard }))
      expect(await other.loadUser('ann')).to.deep.include({ revision, heard })
    })

    it('is which brokers have connections, and no other', async () => {
      const ann = await store.saveUser(saveOf(stateOf('ann', 'b1')))
      const bob = await store.saveUser(saveOf(stateOf('bob', 'b2')))
      expect(new Set(await other.shared?.brokers())).to.deep.equal(new Set(['b1', 'b2']))
      await store.saveUser(saveOf(stateOf('ann', 'b3'), { expected: ann ?? 0 }))
      expect(await store.removeUser('bob', bob ?? 0)).to.equal(true)
      expect(await other.shared?.brokers()).to.deep.equal(['b3'])
    })

    describe('about data that is lacking', () => {
      async function check(one: Store, mayClaim = true): Promise<string | undefined> {
        return (await one.shared?.checkData(mayClaim))?.state
      }

      /** The word for the data that is whole. */
      async function word(one: Store): Promise<string> {
        const found = await one.shared?.checkData(false)
        return found?.state === 'whole' ? found.data : fail(found)
      }

      function fail(found: unknown): never {
        throw new Error(`expected whole data, got ${JSON.stringify(found)}`)
      }

      it('is who makes it good: one, and the others wait', async () => {
        expect(await check(store, false)).to.equal('waiting')
        expect(await check(store)).to.equal('lacking')
        expect(await check(store)).to.equal('lacking')
        expect(await check(other)).to.equal('waiting')
        const restored = await store.shared?.dataRestored()
        expect(restored).to.deep.equal({ state: 'whole', data: await word(other) })
      })

      it('is that it was given up, so that another one can try', async () => {
        await check(store)
        await other.shared?.leaveData()
        expect(await check(other)).to.equal('waiting')
        await store.shared?.leaveData()
        expect(await check(other)).to.equal('lacking')
      })

      it('is not that it is whole when it was lost again meanwhile', async () => {
        await check(store)
        const redis = await connectRedis({ url: server.url })
        await redis.send('', ['FLUSHALL'])
        await store.shared?.renewClaim()
        expect(await store.shared?.dataRestored()).to.deep.equal({ state: 'waiting' })
        expect(await check(other)).to.equal('lacking')
        redis.close()
      })

      it('has another word each time, also after it was emptied', async () => {
        await check(store)
        await store.shared?.dataRestored()
        const before = await word(other)
        const redis = await connectRedis({ url: server.url })
        await redis.send('', ['FLUSHALL'])
        redis.close()
        await check(store)
        await store.shared?.dataRestored()
        expect(await word(other)).to.not.equal(before)
      })

      it('is whole only when rooms know what was stored with their users', async () => {
        await check(store)
        const names = Array.from({ length: 300 }, (_, i) => `user-${i}`)
        await Promise.all(
          names.map((name) => {
            const room = { room: 'lobby', member: member(name), leave: null }
            return store.saveUser(saveOf(stateOf(name), { rooms: [room] }))
          }),
        )
        await store.shared?.dataRestored()
        expect(await other.roomSize('lobby')).to.equal(300)
      })
    })

    it('is how they are called, until one has been silent for 3 s and is forgotten', async () => {
      await store.shared?.beat(0, 'b/1')
      await other.shared?.beat(null, 'deaf')
      expect(await other.shared?.silentBridges()).to.deep.equal([])
      await pause(3100)
      await other.shared?.beat(0, 'b2')
      const [silent, ...rest] = (await other.shared?.silentBridges()) ?? []
      expect(silent?.bridge).to.equal('b/1')
      expect(rest).to.deep.equal([])
      await other.shared?.forgetBridge(silent?.store ?? '')
      expect(await other.shared?.silentBridges()).to.deep.equal([])
      // Whoever lives beats again.
      await store.shared?.beat(0, 'b/1')
      await pause(3100)
      // It was started again.
      await other.shared?.beat(0, 'b/1')
      expect(await other.shared?.silentBridges()).to.deep.equal([])
    }).timeout(10_000)

    it('is that a broker was taken for lost, once', async () => {
      await store.shared?.markLost('b 1{')
      expect(await other.shared?.takeLost('b2')).to.equal(false)
      expect(await other.shared?.takeLost('b 1{')).to.equal(true)
      expect(await other.shared?.takeLost('b 1{')).to.equal(false)
    })
  })
})

describe('on a cluster', function () {
  this.timeout(30_000)
  let cluster: RedisCluster
  before(async () => {
    cluster = await startRedisCluster()
  })
  after(() => cluster.close())

  describeStore('the Redis store', (now) =>
    createRedisStore({
      url: cluster.url,
      topology: 'cluster',
      prefix: `test${stores++}`,
      now,
    }),
  )
})
