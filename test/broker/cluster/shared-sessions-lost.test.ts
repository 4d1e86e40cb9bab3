import { expect } from 'chai'
import type { SharedSessions } from '../../../broker/cluster/shared-sessions.ts'
import type { MemoryPersistence } from '../../../broker/persistence/memory-persistence.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { breakable, type BreakableRedis } from '../../helpers/breakable-redis.ts'
import { startRedis } from '../../helpers/redis.ts'
import { clusterKeys as keys, startSessions } from '../../helpers/shared-sessions.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { within } from '../../helpers/within.ts'

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
    ;({ store, sessions } = startSessions(own, 'one', () => 0, {
      onError: (error) => expect(own.broken, String(error)).to.not.equal('not'),
    }))
  })

  async function fieldsOf(clientId: string): Promise<readonly string[]> {
    const key = keys.session(clientId)
    const fields = (await redis.send(key, ['HKEYS', key])) as string[]
    return fields.filter((field) => field !== 'o').toSorted()
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

  it('have their subscriptions there before anybody is told of them, here too', async () => {
    await subscribe('phone', 'news')
    expect(await fieldsOf('phone')).to.deep.equal(['k', 's:news'])
    const removed = store.removeSubscriptions({ id: 'phone' }, ['news'])
    expect(store.subscribedTo('news')).to.have.length(1)
    await removed
    expect(store.subscribedTo('news')).to.deep.equal([])
    expect(await fieldsOf('phone')).to.deep.equal(['k'])
  })

  it('have what a client has asked for last, though it does not wait for answers', async () => {
    await subscribe('phone', 'other')
    const phone = { id: 'phone' }
    const order: string[] = []
    const note = (what: string) => (): void => void order.push(what)
    const asked = [
      store.addSubscriptions(phone, [{ topic: 'news', qos: 1 }]).then(note('added')),
      store.removeSubscriptions(phone, ['news', 'other']).then(note('removed')),
      store.addSubscriptions(phone, [{ topic: 'news', qos: 2 }]).then(note('added again')),
      store.addSubscriptions(phone, [{ topic: 'news', qos: 2 }]).then(note('nothing new')),
    ]
    await Promise.all(asked)
    expect(order).to.deep.equal(['added', 'removed', 'added again', 'nothing new'])
    expect(store.subscribedTo('news')).to.have.length(1)
    expect(await fieldsOf('phone')).to.deep.equal(['k', 's:news'])
    expect(String(await redis.send('', ['HGET', keys.session('phone'), 's:news']))).to.include(
      '"qos":2',
    )
  })

  it('that end while Redis is told of a subscription do not get it', async () => {
    await subscribe('phone', 'news')
    const added = store.addSubscriptions({ id: 'phone' }, [{ topic: 'late', qos: 1 }])
    await store.cleanSubscriptions({ id: 'phone' })
    store.keepSession('phone')
    await added
    expect(store.subscribedTo('late')).to.deep.equal([])
    await sessions.flush()
    expect(await fieldsOf('phone')).to.deep.equal(['k'])
  })

  it('do not wait for a Redis that does not answer', async () => {
    await subscribe('phone', 'news')
    own.broken = 'before Redis'
    await subscribe('phone', 'late')
    expect(store.subscribedTo('late')).to.have.length(1)
    own.broken = 'not'
    await sessions.flush()
    expect(await fieldsOf('phone')).to.deep.equal(['k', 's:late', 's:news'])
  })

  it('are given away at the same moment, though they change meanwhile', async () => {
    const clientIds = Array.from({ length: 20 }, (_, i) => `phone-${i}`)
    for (const clientId of clientIds) await subscribe(clientId, 'news/1')
    for (const clientId of clientIds) void subscribe(clientId, 'news/2')
    const given = clientIds.map((clientId) => sessions.handOver(clientId))
    await within(5000, 'all are given away', Promise.all([...given, sessions.flush()]))
    for (const clientId of clientIds) {
      expect(await fieldsOf(clientId)).to.deep.equal(['k', 's:news/1', 's:news/2'])
      expect(store.hasSession(clientId)).to.equal(false)
    }
  })

  it('that another broker has are not written any more', async () => {
    for (const clientId of ['moved', 'taken']) await subscribe(clientId, 'news')
    await sessions.flush()
    for (const clientId of ['moved', 'taken']) {
      void store.removeSubscriptions({ id: clientId }, ['news'])
    }
    sessions.drop('moved')
    store.dropSession('taken')
    await sessions.flush()
    expect(await fieldsOf('moved')).to.deep.equal(['k', 's:news'])
    expect(await fieldsOf('taken')).to.deep.equal(['k', 's:news'])
  })

  it('that Redis has never heard of leave nothing behind', async () => {
    void subscribe('phone', 'news')
    await store.cleanSubscriptions({ id: 'phone' })
    const { sent } = own
    await sessions.flush()
    await sessions.flush()
    // How far the log was read.
    expect(own.sent).to.equal(sent + 1)
  })
})
