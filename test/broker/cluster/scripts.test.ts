import { expect } from 'chai'
import { createClientClaims, type ClientClaims } from '../../../broker/cluster/client-claims.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'

const keys = createClusterKeys('test')
const A_MINUTE = 60_000

describe('a client id in Redis', () => {
  let server: RedisServer
  let redis: RedisConnection
  /** Until when a claim is waited for, in milliseconds of Redis' clock. */
  let until: number

  beforeEach(async () => {
    until = Infinity
    server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
  })

  function script(name: string, on = redis): Script {
    const file = new URL(`../../../broker/cluster/scripts/${name}.lua`, import.meta.url)
    return loadScriptFile(on, file)
  }

  /** The claims of a broker that is there, with a connection of its own. */
  async function broker(name: string): Promise<ClientClaims> {
    const own = await connectRedis({ url: server.url })
    onTeardown(() => own.close())
    await own.send(keys.brokers, ['ZADD', keys.brokers, String(Date.now()), name])
    return createClientClaims({
      broker: name,
      keys,
      now: () => Date.now(),
      isUp: () => true,
      onUntold: (error) => expect.fail(String(error)),
      claimUntil: () => until,
      claim: script('claim-client', own),
      reclaim: script('reclaim-client', own),
      release: script('release-client', own),
    })
  }

  async function owner(clientId = 'phone'): Promise<object | undefined> {
    const entry = await redis.send(keys.clients, ['HGET', keys.clients, clientId])
    return typeof entry === 'string' ? (JSON.parse(entry) as object) : undefined
  }

  it('goes from broker to broker, each of which learns of the one before', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    const first = await one.claim('phone', 'c1', 'alice')
    const second = await two.claim('phone', 'c2', 'alice')
    expect(first).to.include({ previous: undefined, hasSession: false })
    expect(second).to.include({ previous: 'one', isPreviousAlive: true })
    expect(one.isOlder('phone', second?.number ?? 0)).to.equal(true)
    expect(two.isOlder('phone', first?.number ?? 0)).to.equal(false)
  })

  it('has one owner when all claim it at the same moment, and all others know that they are older', async () => {
    const brokers = await Promise.all(['one', 'two', 'three', 'four'].map(broker))
    for (let round = 0; round < 20; round++) {
      const granted = await Promise.all(
        brokers.map((one, i) => one.claim('phone', `c${round}-${i}`, 'alice')),
      )
      const numbers = granted.map((claim) => claim?.number ?? 0)
      const last = Math.max(...numbers)
      expect(new Set(numbers).size).to.equal(brokers.length)
      const older = brokers.filter((claims) => claims.isOlder('phone', last))
      expect(older).to.have.length(brokers.length - 1)
      expect(await owner()).to.include({ connection: `c${round}-${numbers.indexOf(last)}` })
    }
  })

  it('is refused to another user while it is in use or its session is kept', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    expect(await two.claim('phone', 'c2', 'mallory')).to.equal(undefined)
    await one.release('phone', 'c1', A_MINUTE)
    expect(await two.claim('phone', 'c2', 'mallory')).to.equal(undefined)
    expect(await two.claim('phone', 'c3', 'alice')).to.include({ previous: 'one' })
    await two.release('phone', 'c3', 0)
    expect(await one.claim('phone', 'c4', 'mallory')).to.include({ previous: undefined })
  })

  it('is free when the time of its session is over', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    await one.release('phone', 'c1', 1)
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await two.claim('phone', 'c2', 'bob')).to.include({ previous: 'one' })
  })

  it('is free when its broker has died', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    await redis.send(keys.brokers, ['ZREM', keys.brokers, 'one'])
    const claim = await two.claim('phone', 'c2', 'bob')
    expect(claim).to.include({ previous: 'one', isPreviousAlive: false })
  })

  it('is not claimed by who has given up waiting, since somebody else may have come meanwhile', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await two.claim('phone', 'c2', 'alice')
    until = Date.now() - A_MINUTE
    const late = await one.claim('phone', 'c1', 'alice').catch(String)
    expect(late).to.include('too late')
    expect(await owner()).to.include({ broker: 'two', connection: 'c2' })
  })

  it('stays with a later claim when the earlier one is released', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    await two.claim('phone', 'c2', 'alice')
    await one.release('phone', 'c1', 0)
    expect(await owner()).to.include({ broker: 'two', connection: 'c2' })
    // Nor does a broker release what a later connection of its own has.
    await two.claim('phone', 'c3', 'alice')
    await two.release('phone', 'c2', 0)
    expect(await owner()).to.include({ broker: 'two', connection: 'c3' })
  })

  it('is claimed again after Redis was emptied, unless somebody was faster', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    await one.claim('tablet', 'c2', 'alice')
    await redis.send(keys.clients, ['FLUSHALL'])
    await two.claim('phone', 'c3', 'alice')
    expect([...one.unsure(false)]).to.deep.equal([])
    expect([...one.unsure(true)]).to.deep.equal(['phone', 'tablet'])
    expect(await one.reclaim('phone')).to.deep.equal({ verdict: 'older' })
    expect(await one.reclaim('tablet')).to.deep.include({ verdict: 'granted', isNews: false })
    expect(await owner()).to.include({ broker: 'two', connection: 'c3' })
    expect(await owner('tablet')).to.include({ broker: 'one', connection: 'c2' })
    expect([...one.unsure(true)]).to.deep.equal(['tablet'])
  })

  it('that Redis was not asked about belongs to who came later, in whatever order it is told', async () => {
    const came = Date.now()
    for (const isEarlierFirst of [true, false]) {
      const [one, two] = [await broker('one'), await broker('two')]
      const earlier = one.assume('phone', 'c1', 'alice', came)
      const later = two.assume('phone', 'c2', 'alice', came + 0.5)
      expect(later).to.be.above(earlier)
      expect([...one.unsure(false)]).to.deep.equal(['phone'])
      if (isEarlierFirst) {
        expect(await one.reclaim('phone')).to.deep.include({ verdict: 'granted', isNews: true })
        const granted = await two.reclaim('phone')
        const claim = { number: later, previous: 'one', isPreviousAlive: true }
        expect(granted).to.deep.equal({ verdict: 'granted', isNews: true, claim })
      } else {
        expect(await two.reclaim('phone')).to.deep.include({ verdict: 'granted', isNews: true })
        expect(await one.reclaim('phone')).to.deep.equal({ verdict: 'older' })
        expect(one.has('phone')).to.equal(false)
      }
      expect(await owner()).to.include({ broker: 'two', connection: 'c2', number: String(later) })
      expect([...two.unsure(false)]).to.deep.equal([])
      await redis.send(keys.clients, ['FLUSHALL'])
    }
  })

  it('that Redis was not asked about is not taken from its owner', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    two.assume('phone', 'c2', 'mallory', Date.now() + A_MINUTE)
    expect(await two.reclaim('phone')).to.deep.equal({ verdict: 'refused' })
    expect(two.has('phone')).to.equal(false)
    expect(await owner()).to.include({ broker: 'one', connection: 'c1' })
  })

  it('that was claimed by who did not get the answer is told to the broker before', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c1', 'alice')
    const claim = await two.claim('phone', 'c2', 'alice')
    two.assume('phone', 'c2', 'alice', 0)
    const reclaimed = await two.reclaim('phone')
    expect(reclaimed).to.deep.include({ verdict: 'granted', isNews: true })
    expect(reclaimed).to.have.property('claim').that.includes({ previous: 'one' })
    expect(two.isOlder('phone', (claim?.number ?? 0) - 1)).to.equal(false)
  })

  it('is later than all that were assumed before', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    const number = one.assume('phone', 'c1', 'alice', Date.now() + A_MINUTE)
    await one.reclaim('phone')
    const claim = await two.claim('phone', 'c2', 'alice')
    expect(claim?.number).to.be.above(number)
  })

  it('of a broker that has died is taken over only with a session, and not from who is faster', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    const adopt = script('adopt-client')
    for (const id of ['phone', 'tablet', 'watch']) await one.claim(id, 'c', 'alice')
    for (const id of ['phone', 'tablet'])
      await redis.send(keys.sessions, ['SADD', keys.sessions, id])
    await two.claim('tablet', 'c2', 'alice')
    const take = async (id: string): Promise<unknown> =>
      adopt([keys.clients, keys.sessions], [id, 'one', 'two', String(A_MINUTE)])
    const { number } = (await owner()) as { readonly number: string }
    const taken = ['alice', A_MINUTE, 'c', number, 1]
    expect(await take('phone')).to.deep.equal(taken)
    // The answer may have been lost.
    const again = await take('phone')
    expect(again)
      .to.have.property('1')
      .that.is.within(A_MINUTE - 5000, A_MINUTE)
    expect(again).to.have.property('3', number)
    expect(again).to.have.property('4', 1)
    expect(await take('tablet')).to.equal(null)
    expect(await take('watch')).to.equal(null)
    expect(await owner()).to.include({ broker: 'two', connection: 'c', number })
    const three = await broker('three')
    await three.claim('phone', 'c3', 'alice')
    await two.claim('phone', 'c4', 'alice')
    expect(await take('phone')).to.equal(null)
  })

  it('that was taken over from a broker that was frozen stays with the heir, also when Redis has older data', async () => {
    const [one, two] = [await broker('one'), await broker('two')]
    await one.claim('phone', 'c', 'alice')
    await redis.send(keys.sessions, ['SADD', keys.sessions, 'phone'])
    const older = JSON.stringify(await owner())
    const take = (from: string, heir: string): Promise<unknown> =>
      script('adopt-client')([keys.clients, keys.sessions], ['phone', from, heir, String(A_MINUTE)])
    await take('one', 'three')
    const answer = (await take('three', 'two')) as [string, number, string, string, number]
    const [user, keptMs, connection, number, heirs] = answer
    const session = { clientId: 'phone', user, keptMs, connection, number: Number(number), heirs }
    two.adopted(session)

    expect(await one.reclaim('phone')).to.deep.equal({ verdict: 'older' })
    expect(one.has('phone')).to.equal(false)
    expect(await owner()).to.include({ broker: 'two' })

    await redis.send(keys.clients, ['HSET', keys.clients, 'phone', older])
    expect(await two.reclaim('phone')).to.deep.include({ verdict: 'granted' })
    expect(await owner()).to.include({ broker: 'two', heirs: 2 })
  })
})
