import { expect } from 'chai'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import {
  createSharedSessions,
  type SharedSessions,
} from '../../../broker/cluster/shared-sessions.ts'
import { MemoryPersistence } from '../../../broker/persistence/memory-persistence.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { breakable, type BreakableRedis } from '../../helpers/breakable-redis.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'
import { startRedis } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually, within } from '../../helpers/within.ts'

const keys = createClusterKeys('test')

describe('sessions in Redis', () => {
  let redis: RedisConnection
  let own: BreakableRedis
  let store: MemoryPersistence
  let sessions: SharedSessions

  beforeEach(async () => {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    own = breakable(redis)
    store = new MemoryPersistence({ root: 'presence' })
    const load = (name: string): Script =>
      loadScriptFile(own, new URL(`../../../broker/cluster/scripts/${name}.lua`, import.meta.url))
    sessions = createSharedSessions({
      broker: 'one',
      redis: own,
      keys,
      clock: new ManualClock(),
      store,
      scripts: { adoptClient: load('adopt-client'), forgetSession: load('forget-session') },
      position: () => 0,
      unread: () => [],
      onError: (error) => expect.fail(String(error)),
    })
    onTeardown(() => sessions.close())
  })

  async function fieldsOf(clientId: string): Promise<readonly string[]> {
    const key = keys.session(clientId)
    return ((await redis.send(key, ['HKEYS', key])) as string[]).toSorted()
  }

  async function subscribe(clientId: string, topic: string): Promise<void> {
    store.keepSession(clientId)
    await store.addSubscriptions({ id: clientId }, [{ topic, qos: 1 }])
  }

  for (const broken of ['before Redis', 'after Redis'] as const) {
    it(`that have ended stay so when the connection broke ${broken}`, async () => {
      await subscribe('phone', 'news')
      await sessions.flush()
      await store.cleanSubscriptions({ id: 'phone' })
      own.broken = broken
      expect(await sessions.flush().catch(String)).to.include('closed')
      own.broken = 'not'
      await sessions.flush()
      expect(await fieldsOf('phone')).to.deep.equal([])
      expect(await redis.send(keys.sessions, ['SCARD', keys.sessions])).to.equal(0)
    })

    it(`that have ended and begun again are new ones when the connection broke ${broken}`, async () => {
      await subscribe('phone', 'news/old')
      await sessions.flush()
      await store.cleanSubscriptions({ id: 'phone' })
      await subscribe('phone', 'news/new')
      own.broken = broken
      expect(await sessions.flush().catch(String)).to.include('closed')
      own.broken = 'not'
      await subscribe('phone', 'news/newest')
      await sessions.flush()
      expect(await fieldsOf('phone')).to.deep.equal(['k', 's:news/new', 's:news/newest'])
    })
  }

  it('are all written, however many have changed', async () => {
    for (let n = 0; n < 1200; n++) await subscribe(`phone-${n}`, 'news')
    own.broken = 'after Redis'
    expect(await sessions.flush().catch(String)).to.include('closed')
    own.broken = 'not'
    await sessions.flush()
    expect(await redis.send(keys.sessions, ['SCARD', keys.sessions])).to.equal(1200)
  })

  it('have their subscriptions there at once, and messages a moment later', async () => {
    await subscribe('phone', 'news')
    await eventually('it is there', async () => (await fieldsOf('phone')).includes('s:news'))
    await store.removeSubscriptions({ id: 'phone' }, ['news'])
    await eventually('it is gone', async () => !(await fieldsOf('phone')).includes('s:news'))
    expect(await fieldsOf('phone')).to.deep.equal(['k'])
  })

  it('are given away at the same moment, though they change meanwhile', async () => {
    const clientIds = Array.from({ length: 20 }, (_, i) => `phone-${i}`)
    for (const clientId of clientIds) await subscribe(clientId, 'news/1')
    const given = clientIds.map((clientId) => sessions.handOver(clientId))
    for (const clientId of clientIds) await subscribe(clientId, 'news/2')
    await within(5000, 'all are given away', Promise.all([...given, sessions.flush()]))
    for (const clientId of clientIds) {
      expect(await fieldsOf(clientId)).to.include.members(['k', 's:news/1', 's:news/2'])
    }
  })

  it('that another broker has are not written any more', async () => {
    for (const clientId of ['moved', 'taken']) await subscribe(clientId, 'news')
    await sessions.flush()
    for (const clientId of ['moved', 'taken']) {
      await store.removeSubscriptions({ id: clientId }, ['news'])
    }
    sessions.drop('moved')
    store.dropSession('taken')
    await sessions.flush()
    expect(await fieldsOf('moved')).to.deep.equal(['k', 's:news'])
    expect(await fieldsOf('taken')).to.deep.equal(['k', 's:news'])
  })

  it('that Redis has never heard of leave nothing behind', async () => {
    await subscribe('phone', 'news')
    await store.cleanSubscriptions({ id: 'phone' })
    const { sent } = own
    await sessions.flush()
    await sessions.flush()
    // How far the log was read.
    expect(own.sent).to.equal(sent + 1)
  })
})
