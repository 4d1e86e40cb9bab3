import { expect } from 'chai'
import { createClientClaims, type ClientClaims } from '../../../broker/cluster/client-claims.ts'
import { clientsOf } from '../../../broker/cluster/clients-of.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { breakable, type BreakableRedis } from '../../helpers/breakable-redis.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'

const keys = createClusterKeys('test')
const A_MINUTE = 60_000

interface Broker {
  readonly claims: ClientClaims
  readonly redis: BreakableRedis
  isUp: boolean
}

describe('what Redis was told in vain of a client id', () => {
  let server: RedisServer
  let redis: RedisConnection

  beforeEach(async () => {
    server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
  })

  async function start(name: string): Promise<Broker> {
    const own = breakable(redis)
    const load = (script: string): Script =>
      loadScriptFile(own, new URL(`../../../broker/cluster/scripts/${script}.lua`, import.meta.url))
    await redis.send(keys.brokers, ['ZADD', keys.brokers, String(Date.now()), name])
    const claims = createClientClaims({
      broker: name,
      keys,
      now: () => Date.now(),
      isUp: () => broker.isUp,
      onUntold: () => {},
      claimUntil: () => Infinity,
      claim: load('claim-client'),
      reclaim: load('reclaim-client'),
      release: load('release-client'),
    })
    const broker: Broker = { claims, redis: own, isUp: true }
    return broker
  }

  async function owner(clientId = 'phone'): Promise<Record<string, unknown> | undefined> {
    const entry = await redis.send(keys.clients, ['HGET', keys.clients, clientId])
    return typeof entry === 'string' ? (JSON.parse(entry) as Record<string, unknown>) : undefined
  }

  async function tellAgain({ claims }: Broker): Promise<void> {
    for (const clientId of claims.unsure(false)) await claims.reclaim(clientId)
  }

  for (const broken of ['before Redis', 'after Redis'] as const) {
    it(`is told again: that it is free, when the connection broke ${broken}`, async () => {
      const [one, two] = [await start('one'), await start('two')]
      await one.claims.claim('phone', 'c1', 'alice')
      one.redis.broken = broken
      await one.claims.release('phone', 'c1', 0)
      one.redis.broken = 'not'
      await tellAgain(one)
      expect(await owner()).to.equal(undefined)
      expect([...one.claims.unsure(false)]).to.deep.equal([])
      expect(await two.claims.claim('phone', 'c2', 'bob')).to.include({ previous: undefined })
    })

    it(`is told again: until when its session is kept, when the connection broke ${broken}`, async () => {
      const one = await start('one')
      await one.claims.claim('phone', 'c1', 'alice')
      one.redis.broken = broken
      await one.claims.release('phone', 'c1', A_MINUTE)
      one.redis.broken = 'not'
      await tellAgain(one)
      expect((await owner())?.['untilMs']).to.be.within(Date.now(), Date.now() + A_MINUTE + 1000)
      expect([...one.claims.unsure(false)]).to.deep.equal([])
    })

    it(`is told before the next claim, when the connection broke ${broken}`, async () => {
      const one = await start('one')
      await one.claims.claim('phone', 'c1', 'alice')
      one.redis.broken = broken
      await one.claims.release('phone', 'c1', 0)
      one.redis.broken = 'not'
      expect(await one.claims.claim('phone', 'c2', 'bob')).to.include({ previous: undefined })
      expect([...one.claims.unsure(false)]).to.deep.equal([])
    })
  }

  it('is the newest: a claim whose answer was lost, and whose connection is over', async () => {
    const one = await start('one')
    await one.claims.claim('phone', 'c1', 'alice')
    one.redis.broken = 'after Redis'
    expect(await one.claims.claim('phone', 'c2', 'alice').catch(String)).to.include('closed')
    one.claims.assume('phone', 'c2', 'alice', Date.now() - 500)
    one.redis.broken = 'before Redis'
    await one.claims.release('phone', 'c2', 0)
    one.redis.broken = 'not'
    expect(await owner()).to.include({ connection: 'c2' })
    await tellAgain(one)
    expect(await owner()).to.equal(undefined)
  })

  it('is not told to a later claim of another broker', async () => {
    const [one, two] = [await start('one'), await start('two')]
    await one.claims.claim('phone', 'c1', 'alice')
    one.redis.broken = 'before Redis'
    await one.claims.release('phone', 'c1', 0)
    one.redis.broken = 'not'
    await two.claims.claim('phone', 'c2', 'alice')
    await tellAgain(one)
    expect(await owner()).to.include({ broker: 'two', connection: 'c2' })
  })

  it('is nothing while Redis is away, and nothing is kept of who came and went meanwhile', async () => {
    const one = await start('one')
    await one.claims.claim('tablet', 'c0', 'alice')
    one.isUp = false
    const { sent } = one.redis
    for (let n = 0; n < 100; n++) {
      const clientId = `phone-${n}`
      expect(await one.claims.claim(clientId, 'c1', 'alice').catch(String)).to.include('away')
      one.claims.assume(clientId, 'c1', 'alice', Date.now())
      await one.claims.release(clientId, 'c1', 0)
    }
    one.claims.assume('tablet', 'c1', 'alice', Date.now())
    await one.claims.release('tablet', 'c1', 0)
    expect(one.redis.sent).to.equal(sent)
    expect([...one.claims.unsure(false)]).to.deep.equal(['tablet'])
    one.isUp = true
    await tellAgain(one)
    expect(await owner('tablet')).to.equal(undefined)
  })

  it('is told when the data is older: what has been released meanwhile', async () => {
    const [one, two] = [await start('one'), await start('two')]
    for (const clientId of ['phone', 'tablet', 'watch']) {
      await one.claims.claim(clientId, 'c1', 'alice')
    }
    const old = (await redis.send(keys.clients, ['HGETALL', keys.clients])) as readonly string[]
    await one.claims.release('phone', 'c1', 0)
    await one.claims.release('tablet', 'c1', 0)
    await redis.send(keys.clients, ['HSET', keys.clients, ...old])
    await two.claims.claim('tablet', 'c2', 'alice')
    for await (const owned of clientsOf(redis, keys, ({ broker }) => broker === 'one')) {
      for (const { clientId, number } of owned) await one.claims.deny(clientId, number)
    }
    expect(await owner('phone')).to.equal(undefined)
    expect(await owner('tablet')).to.include({ broker: 'two' })
    expect(await owner('watch')).to.include({ broker: 'one' })
  })

  it('is void when nobody waits for the answer any more', async () => {
    const one = await start('one')
    await one.claims.claim('phone', 'c1', 'alice', () => false)
    expect(one.claims.has('phone')).to.equal(false)
    await tellAgain(one)
    expect(await owner()).to.equal(undefined)
  })
})

describe('a claim that is withdrawn', () => {
  let redis: RedisConnection
  let claims: ClientClaims
  let isUp: boolean

  beforeEach(async () => {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    isUp = true
    const load = (script: string): Script =>
      loadScriptFile(
        redis,
        new URL(`../../../broker/cluster/scripts/${script}.lua`, import.meta.url),
      )
    await redis.send(keys.brokers, ['ZADD', keys.brokers, String(Date.now()), 'one'])
    claims = createClientClaims({
      broker: 'one',
      keys,
      now: () => Date.now(),
      isUp: () => isUp,
      onUntold: () => {},
      claimUntil: () => Infinity,
      claim: load('claim-client'),
      reclaim: load('reclaim-client'),
      release: load('release-client'),
    })
  })

  async function owner(): Promise<Record<string, unknown>> {
    return JSON.parse(
      String(await redis.send(keys.clients, ['HGET', keys.clients, 'phone'])),
    ) as Record<string, unknown>
  }

  it('leaves the client id to the connection that had it here', async () => {
    await claims.claim('phone', 'c1', 'alice')
    const claim = await claims.claim('phone', 'c2', 'alice')
    expect(claims.withdraw('phone', 'c2')).to.equal(true)
    expect(await claims.reclaim('phone')).to.deep.include({ verdict: 'granted', isNews: false })
    expect(await owner()).to.include({ connection: 'c1', number: String(claim?.number) })
    await claims.release('phone', 'c1', 0)
    expect(await redis.send(keys.clients, ['HLEN', keys.clients])).to.equal(0)
  })

  it('leaves a session for as long as it was kept', async () => {
    await claims.claim('phone', 'c1', 'alice')
    await claims.release('phone', 'c1', A_MINUTE)
    const { untilMs } = await owner()
    await claims.claim('phone', 'c2', 'alice')
    expect((await owner())['untilMs']).to.equal(undefined)
    expect(claims.withdraw('phone', 'c2')).to.equal(true)
    await claims.reclaim('phone')
    expect((await owner())['untilMs']).to.be.closeTo(Number(untilMs), 100)
  })

  it('leaves nobody when the connection before has ended meanwhile', async () => {
    await claims.claim('phone', 'c1', 'alice')
    await claims.claim('phone', 'c2', 'alice')
    await claims.release('phone', 'c1', 0)
    expect(claims.withdraw('phone', 'c2')).to.equal(false)
  })

  it('of a stranger, while Redis was away, takes nothing from its owner', async () => {
    const granted = await claims.claim('phone', 'c1', 'alice')
    isUp = false
    claims.assume('phone', 'c2', 'mallory', Date.now())
    expect(claims.withdraw('phone', 'c2')).to.equal(true)
    isUp = true
    expect(await claims.reclaim('phone')).to.deep.include({ verdict: 'granted', isNews: false })
    const number = String(granted?.number)
    expect(await owner()).to.include({ connection: 'c1', user: 'alice', number })
  })
})
