import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { createMembership, type Membership } from '../../../broker/cluster/membership.ts'
import { createWillJournal, type WillJournal } from '../../../broker/cluster/will-journal.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const keys = createClusterKeys('test')

/** A broker whose clock is this test's; Redis has its own. */
interface Member {
  readonly membership: Membership
  /** What it found out. */
  readonly news: string[]
  /** What becomes of a broker that has died; nothing if it is not said. */
  deal: (this: void, dead: string) => Promise<void>
  /** It beats so often, a second of its clock apart. */
  beat(times?: number): Promise<void>
}

describe('a broker among others', function () {
  this.timeout(10_000)
  let server: RedisServer
  let redis: RedisConnection

  beforeEach(async () => {
    server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
  })

  async function join(broker: string, position = () => 0): Promise<Member> {
    const clock = new ManualClock()
    const own = await connectRedis({ url: server.url })
    const news: string[] = []
    const member: Pick<Member, 'deal'> = { deal: async () => {} }
    let beats = 0
    const load = (name: string, answer: 'text' | 'bytes'): Script =>
      loadScriptFile(
        own,
        new URL(`../../../broker/cluster/scripts/${name}.lua`, import.meta.url),
        answer,
      )
    const membership = createMembership({
      broker,
      redis: own,
      keys,
      clock,
      scripts: {
        beat: load('beat', 'text'),
        takeBroker: load('take-broker', 'bytes'),
        closeEstate: load('close-estate', 'text'),
      },
      position,
      onLost: () => news.push('lost'),
      onTaken: () => news.push('taken'),
      onBeat: () => beats++,
      onDead: async (dead, _position, wills) => {
        const topics = wills.map(({ clientId, delaySeconds, message }) =>
          [clientId, delaySeconds, message.topic].join(' '),
        )
        news.push([dead, ...topics].join(': '))
        await member.deal(dead)
        const key = keys.orphans(dead)
        await own.send(key, ['DEL', key])
      },
      onError: (error) => news.push(String(error)),
    })
    onTeardown(() => {
      membership.close()
      own.close()
    })
    await membership.join()
    return Object.assign(member, {
      membership,
      news,
      async beat(times = 1): Promise<void> {
        for (let i = 0; i < times; i++) {
          const before = beats
          await clock.advance(1000)
          await eventually('a beat', () => beats > before)
          await eventually('the next is set', () => clock.pending > 0)
        }
      },
    })
  }

  /** Everything that members have found out, when all that they began is over. */
  async function newsOf(...members: readonly Member[]): Promise<readonly string[]> {
    for (const member of members) await member.beat()
    await redis.send(keys.brokers, ['PING'])
    return members.flatMap(({ news }) => news)
  }

  /** As if it had beaten last so long ago. */
  async function silence(broker: string, ms: number): Promise<void> {
    const [seconds] = (await redis.send('', ['TIME'])) as readonly string[]
    const at = Number(seconds) * 1000 - ms
    await redis.send(keys.brokers, ['ZADD', keys.brokers, String(at), broker])
  }

  it('takes over from one that is silent for 9 s, once in all, with its wills', async () => {
    const [one, two] = [await join('one'), await join('two')]
    const wills = journalOf('dead')
    const will = {
      cmd: 'publish',
      topic: 'wills/x',
      payload: Buffer.from([0, 10]),
      qos: 1,
    } as const
    const message = { ...will, retain: false, dup: false, brokerId: 'dead', brokerCounter: 1 }
    wills.put('phone', 'c1', message, 7)
    wills.put('tablet', 'c2', message, 0)
    wills.put('tablet', 'c3', { ...message, topic: 'wills/later' }, 0)
    wills.put('gone', 'c4', message, 0)
    wills.delete('gone', 'c4')
    wills.delete('tablet', 'c2')
    await Promise.all([one.beat(9), two.beat(9)])
    await silence('dead', 7000)
    expect(await newsOf(one, two)).to.deep.equal([])
    await silence('dead', 10_500)
    await Promise.all([one.beat(2), two.beat(2)])
    await eventually('somebody takes over', () => one.news.length + two.news.length > 0)
    const news = await newsOf(one, two)
    expect(news.map((text) => text.split(': ').toSorted())).to.deep.equal([
      ['dead', 'phone 7 wills/x', 'tablet 0 wills/later'],
    ])
  })

  it('believes nobody dead before it has heard for 9 s itself', async () => {
    await silence('dead', 60_000)
    const one = await join('one')
    await one.beat(8)
    expect(one.news).to.deep.equal([])
    await one.beat()
    await eventually('it takes over', () => one.news.length > 0)
    expect(one.news).to.deep.equal(['dead'])
  })

  it('nor after Redis did not answer for a while', async () => {
    const one = await join('one')
    await one.beat(10)
    server.signal('SIGSTOP')
    const late = one.beat(5)
    await pause(300)
    server.signal('SIGCONT')
    await late
    expect(one.membership.isUp).to.equal(true)
    expect(one.news).to.deep.equal([])
  })

  it('learns that others took it for dead', async () => {
    const one = await join('one')
    await redis.send(keys.brokers, ['ZREM', keys.brokers, 'one'])
    await one.beat()
    expect(one.news).to.deep.equal(['taken'])
  })

  it('learns that Redis was restarted or emptied, and no number comes twice', async () => {
    let position = 41
    const one = await join('one', () => position)
    await redis.send(keys.head, ['HSET', keys.head, 'count', '41'])
    await one.beat()
    expect(one.news).to.deep.equal([])
    await server.restart('empty')
    await one.beat()
    expect(one.news).to.deep.equal(['lost'])
    const count = Number(await redis.send(keys.head, ['HGET', keys.head, 'count']))
    expect(count).to.be.above(41)
    position = count
    await one.beat()
    expect(Number(await redis.send(keys.head, ['HGET', keys.head, 'count']))).to.equal(count)
  })

  it('is missed at the next beat of the others when it leaves', async () => {
    const [one, two] = [await join('one'), await join('two')]
    await two.beat(9)
    await one.membership.leave()
    await two.beat()
    await eventually('it takes over', () => two.news.length > 0)
    expect(two.news).to.deep.equal(['one'])
  })

  it('nor after Redis was started anew with what it had a while ago', async () => {
    const one = await join('one')
    await one.beat(10)
    await silence('two', 20_000)
    await redis.send(keys.brokers, ['SAVE'])
    await server.restart('with data')
    await one.beat(8)
    expect(await newsOf(one)).to.deep.equal(['lost'])
    await one.beat()
    await eventually('now it does', () => one.news.length > 1)
    expect(one.news).to.deep.equal(['lost', 'two'])
  })

  it('beats on while it takes over, however long that takes', async () => {
    const one = await join('one')
    let end = (): void => {}
    one.deal = () => new Promise((resolve) => (end = resolve))
    await one.beat(9)
    await silence('dead', 20_000)
    await one.beat()
    await eventually('it takes over', () => one.news.length > 0)
    await one.beat(3)
    expect(one.news).to.deep.equal(['dead'])
    expect(await redis.send(keys.estates, ['HGETALL', keys.estates])).to.deep.equal(['dead', 'one'])
    end()
    await eventually('nothing is left', async () => !(await isLeft('dead')))
    await one.beat()
    expect(one.news).to.deep.equal(['dead'])
  })

  it('takes over again what it could not deal with', async () => {
    const one = await join('one')
    one.deal = () => Promise.reject(new Error('Redis is away'))
    await one.beat(9)
    await silence('dead', 20_000)
    await one.beat()
    await eventually('it fails', () => one.news.length > 1)
    one.deal = async () => {}
    await one.beat()
    await eventually('nothing is left', async () => !(await isLeft('dead')))
    expect(one.news).to.deep.equal(['dead', 'Error: Redis is away', 'dead'])
  })

  it('takes over what one that has died was taking over, and its wills', async () => {
    const [one, two] = [await join('one'), await join('two')]
    const wills = journalOf('dead')
    const will = { cmd: 'publish', topic: 'wills/x', payload: Buffer.from('x'), qos: 1 } as const
    const message = { ...will, retain: false, dup: false, brokerId: 'dead', brokerCounter: 1 }
    wills.put('phone', 'c1', message, 7)
    one.deal = () => new Promise(() => {})
    await Promise.all([one.beat(9), two.beat(9)])
    await silence('dead', 20_000)
    await one.beat()
    await eventually('it takes over', () => one.news.length > 0)
    await two.beat(2)
    expect(two.news).to.deep.equal([])
    one.membership.close()
    await silence('one', 20_000)
    await two.beat()
    await eventually('the other takes over', () => two.news.length > 0)
    await two.beat()
    await eventually('it takes over what the first one had', () => two.news.length > 1)
    expect(two.news).to.deep.equal(['one', 'dead: phone 7 wills/x'])
    await eventually('nothing is left', async () => !(await isLeft('dead')))
  })

  it('learns that everything was deleted, and so do all others, none of which was taken for dead', async () => {
    const members = [await join('one'), await join('two'), await join('three')]
    for (const member of members) await member.beat(2)
    await redis.send(keys.head, ['FLUSHALL'])
    for (const member of members) await member.beat(3)
    for (const { news } of members) expect(news).to.deep.equal(['lost'])
  })

  function journalOf(broker: string): WillJournal {
    const onUntold = (error: unknown): void => {
      throw error
    }
    return createWillJournal({ broker, redis, keys, now: () => 0, isUp: () => true, onUntold })
  }

  async function isLeft(broker: string): Promise<boolean> {
    return (await redis.send(keys.estates, ['HEXISTS', keys.estates, broker])) === 1
  }
})
