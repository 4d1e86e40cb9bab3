import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { createMembership, type Membership } from '../../../broker/cluster/membership.ts'
import { createWillJournal } from '../../../broker/cluster/will-journal.ts'
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
      scripts: { beat: load('beat', 'text'), takeBroker: load('take-broker', 'bytes') },
      position,
      onLost: () => news.push('lost'),
      onTaken: () => news.push('taken'),
      onBeat: () => beats++,
      onDead: async (dead, _position, wills) => {
        const topics = wills.map(({ clientId, delaySeconds, message }) =>
          [clientId, delaySeconds, message.topic].join(' '),
        )
        news.push([dead, ...topics].join(': '))
      },
      onError: (error) => news.push(String(error)),
    })
    onTeardown(() => {
      membership.close()
      own.close()
    })
    await membership.join()
    return {
      membership,
      news,
      async beat(times = 1) {
        for (let i = 0; i < times; i++) {
          const before = beats
          await clock.advance(1000)
          await eventually('a beat', () => beats > before)
          // What a beat leads to is done before the next one is set.
          await eventually('the next is set', () => clock.pending > 0)
        }
      },
    }
  }

  /** As if it had beaten last so long ago. */
  async function silence(broker: string, ms: number): Promise<void> {
    const [seconds] = (await redis.send('', ['TIME'])) as readonly string[]
    const at = Number(seconds) * 1000 - ms
    await redis.send(keys.brokers, ['ZADD', keys.brokers, String(at), broker])
  }

  it('takes over from one that is silent for 9 s, once in all, with its wills', async () => {
    const [one, two] = [await join('one'), await join('two')]
    const wills = createWillJournal(redis, keys, 'dead', (error) => one.news.push(String(error)))
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
    await Promise.all([one.beat(), two.beat()])
    expect([...one.news, ...two.news]).to.deep.equal([])
    await silence('dead', 10_500)
    await Promise.all([one.beat(2), two.beat(2)])
    expect([...one.news, ...two.news].map((text) => text.split(': ').toSorted())).to.deep.equal([
      ['dead', 'phone 7 wills/x', 'tablet 0 wills/later'],
    ])
  })

  it('believes nobody dead before it has heard for 9 s itself', async () => {
    await silence('dead', 60_000)
    const one = await join('one')
    await one.beat(8)
    expect(one.news).to.deep.equal([])
    await one.beat()
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
    expect(two.news).to.deep.equal(['one'])
  })
})
