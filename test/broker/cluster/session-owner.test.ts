import { expect } from 'chai'
import { encodeMessage } from '../../../broker/cluster/entries.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { startRedis } from '../../helpers/redis.ts'
import {
  clusterKeys as keys,
  startSessions,
  type BrokerSessions,
} from '../../helpers/shared-sessions.ts'
import { onTeardown } from '../../helpers/teardown.ts'

/** A broker that could not say how far it got; the sessions are written up to an entry. */
const SILENT = { broker: 'one', position: 0, ownPosition: 0 }
const always = (): boolean => true

describe('a session that goes from one broker to another', () => {
  let redis: RedisConnection
  let read: number

  beforeEach(async () => {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    read = 0
  })

  function start(broker: string): BrokerSessions {
    return startSessions(redis, broker, () => read)
  }

  async function claim(broker: string): Promise<void> {
    const entry = JSON.stringify({ broker, connection: 'c', user: 'alice', number: '1' })
    await redis.send(keys.clients, ['HSET', keys.clients, 'phone', entry])
  }

  /** Begins the session, with one subscription. */
  async function begin({ store, sessions }: BrokerSessions): Promise<void> {
    store.keepSession('phone')
    await store.addSubscriptions({ id: 'phone' }, [{ topic: 'news', qos: 1 }])
    await sessions.flush()
  }

  function messageOf(number: number) {
    const brokerId = 'publisher'
    const message = { cmd: 'publish', topic: 'news', payload: String(number), qos: 1 } as const
    return { ...message, retain: false, dup: false, brokerId, brokerCounter: number } as const
  }

  /** Something comes for the session, at the broker that has it. */
  function enqueue({ store }: BrokerSessions, number: number): void {
    store.enqueue(store.subscribedTo('news'), messageOf(number))
  }

  /** The log has it, and everybody has read it. */
  async function append(number: number): Promise<void> {
    const { head, message } = encodeMessage(messageOf(number))
    const fields = ['o', 'publisher', 'h', head, 'm', message]
    await redis.send(keys.log, ['XADD', keys.log, `${number}-0`, ...fields])
    read = number
  }

  function keysOf(...numbers: number[]): readonly string[] {
    return numbers.map((number) => `publisher:${number}`)
  }

  /** What a third broker gets. */
  async function inRedis(): Promise<readonly string[]> {
    const third = start('third')
    await third.sessions.fetch('phone', { ...SILENT, position: read }, always)
    expect(third.store.subscribedTo('news')).to.have.length(1)
    return third.waitingFor('phone')
  }

  it('is not changed any more by who had it before', async () => {
    const [one, two] = [start('one'), start('two')]
    await claim('one')
    await begin(one)
    enqueue(one, 1)
    await one.sessions.flush()
    await claim('two')
    await two.sessions.fetch('phone', { ...SILENT, position: 1 }, always)
    await two.sessions.flush()
    // Frozen until now: it has the second one from the log, and its client has acknowledged the first.
    one.store.queueOf('phone')?.remove(messageOf(1))
    enqueue(one, 2)
    await one.store.addSubscriptions({ id: 'phone' }, [{ topic: 'news/late', qos: 1 }])
    await one.sessions.flush()
    expect(await inRedis()).to.deep.equal(keysOf(1))
  })

  it('is not written as a whole by who had it before', async () => {
    const [one, two] = [start('one'), start('two')]
    await claim('one')
    await begin(one)
    await claim('two')
    await two.sessions.fetch('phone', SILENT, always)
    await two.sessions.flush()
    enqueue(one, 1)
    one.sessions.rewrite()
    await one.sessions.flush()
    expect(await inRedis()).to.deep.equal([])
  })

  it('comes along though it had just begun', async () => {
    const [one, two] = [start('one'), start('two')]
    await claim('one')
    one.store.keepSession('phone')
    await one.store.addSubscriptions({ id: 'phone' }, [{ topic: 'news', qos: 1 }])
    await claim('two')
    const position = await one.sessions.handOver('phone')
    await two.sessions.fetch('phone', { ...SILENT, position }, always)
    expect(two.store.subscribedTo('news')).to.have.length(1)
  })

  it('is written as a whole by who has the client id, and nothing older is left', async () => {
    const [one, two] = [start('one'), start('two')]
    await claim('one')
    await begin(one)
    enqueue(one, 1)
    await one.sessions.flush()
    const key = keys.session('phone')
    const older = (await redis.sendForBytes(key, ['HGETALL', key])) as Buffer[]
    await claim('two')
    await two.sessions.fetch('phone', { ...SILENT, position: 1 }, always)
    two.store.queueOf('phone')?.remove(messageOf(1))
    enqueue(two, 2)
    await two.sessions.flush()
    // Redis is back with older data.
    await redis.send(key, ['DEL', key])
    await redis.send(key, ['HSET', key, ...older])
    two.sessions.rewrite()
    await two.sessions.flush()
    expect(await inRedis()).to.deep.equal(keysOf(2))
  })

  it('has what only the log has in its place', async () => {
    const one = start('one')
    await claim('one')
    await begin(one)
    // The second one was acknowledged in the last moment, or is missing for another reason.
    for (const number of [1, 3, 5]) enqueue(one, number)
    await one.sessions.flush()
    for (const number of [1, 2, 3, 4, 5, 6]) await append(number)
    const two = start('two')
    await two.sessions.fetch('phone', { ...SILENT, position: 1 }, always)
    expect(two.waitingFor('phone')).to.deep.equal(keysOf(1, 2, 3, 4, 5, 6))
    await two.sessions.flush()
    expect(await inRedis()).to.deep.equal(keysOf(1, 2, 3, 4, 5, 6))
  })

  it('is given away with all that came until then', async () => {
    const [one, two] = [start('one'), start('two')]
    await claim('one')
    await begin(one)
    const handedOver = one.sessions.handOver('phone')
    for (let number = 1; number <= 50; number++) {
      await append(number)
      // As long as it has it, what is read in the log is put into it.
      if (one.store.hasSession('phone')) enqueue(one, number)
    }
    await two.sessions.fetch('phone', { ...SILENT, position: await handedOver }, always)
    expect(two.waitingFor('phone')).to.deep.equal(
      keysOf(...Array.from({ length: 50 }, (_, i) => i + 1)),
    )
  })
})
