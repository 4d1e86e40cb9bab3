import { expect } from 'chai'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import { encodeMessage } from '../../../broker/cluster/entries.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { readStored } from '../../../broker/cluster/read-stored.ts'
import { setVersion, versionOf } from '../../../broker/retained/version.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { startRedis } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'

const keys = createClusterKeys('test')
const NOW = Date.now()

/** What is retained, or '' to clear it, and its version. */
type Step = readonly [payload: string, version?: number]

interface Case {
  readonly title: string
  readonly steps: readonly Step[]
  /** What is retained in the end, with its version. */
  readonly retained: Step | undefined
}

const CASES: readonly Case[] = [
  {
    title: 'newer after older',
    steps: [
      ['a', 1],
      ['b', 2],
    ],
    retained: ['b', 2],
  },
  {
    title: 'older after newer',
    steps: [
      ['b', 2],
      ['a', 1],
    ],
    retained: ['b', 2],
  },
  {
    title: 'as old',
    steps: [
      ['b', 2],
      ['c', 2],
    ],
    retained: ['c', 2],
  },
  {
    title: 'cleared by something older',
    steps: [
      ['b', 2],
      ['', 1],
    ],
    retained: ['b', 2],
  },
  {
    title: 'cleared by something as old',
    steps: [
      ['b', 2],
      ['', 2],
    ],
    retained: undefined,
  },
  {
    title: 'older after a newer clearing',
    steps: [
      ['', 2],
      ['a', 1],
    ],
    retained: undefined,
  },
  {
    title: 'newer after a clearing',
    steps: [
      ['', 2],
      ['c', 3],
    ],
    retained: ['c', 3],
  },
  { title: 'without a version after one with it', steps: [['b', 2], ['a']], retained: ['a'] },
  { title: 'with a version after one without it', steps: [['a'], ['b', 2]], retained: ['b', 2] },
  {
    title: 'whose text looks like a version',
    steps: [['"version":9'], ['b', 2], ['"version":9\n"version":9', 1]],
    retained: ['b', 2],
  },
]

describe('what Redis retains of a topic', () => {
  let redis: RedisConnection
  let append: Script

  beforeEach(async () => {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    const file = new URL('../../../broker/cluster/scripts/append.lua', import.meta.url)
    append = loadScriptFile(redis, file)
    const beat = new URL('../../../broker/cluster/scripts/beat.lua', import.meta.url)
    const args = ['one', 'this one', '0', '9000']
    await loadScriptFile(redis, beat)([keys.brokers, keys.head, keys.estates], args)
  })

  async function add(topic: string, steps: readonly Step[], batch: number): Promise<void> {
    const args = steps.flatMap(([payload, version]) => {
      const packet: EmittedPacket = {
        cmd: 'publish',
        topic,
        payload: Buffer.from(payload),
        qos: 1,
        retain: true,
        dup: false,
        brokerId: 'one',
        brokerCounter: 1,
        clientId: '"version":9',
      }
      if (version !== undefined) setVersion(packet, NOW + version)
      const { head, message } = encodeMessage(packet)
      return [head, message, topic, payload === '' ? '1' : '0', '']
    })
    await send([String(batch), '1000', 'this one', ...args])
  }

  async function send(args: readonly (string | Buffer)[]): Promise<unknown> {
    const { log, head, batches, retained, cleared, emptied } = keys
    return append([log, head, batches, retained, cleared, emptied], ['one', ...args])
  }

  async function retainedOn(topic: string): Promise<Step | undefined> {
    const { packet } = (await readStored(redis, keys)).retained.get(topic) ?? {}
    if (!packet) return undefined
    const version = versionOf(packet)
    return version === undefined
      ? [String(packet.payload)]
      : [String(packet.payload), version - NOW]
  }

  it('is of the highest version, in one batch or in several', async () => {
    let batch = 0
    for (const { title, steps, retained } of CASES) {
      await add(`one/${title}`, steps, ++batch)
      for (const step of steps) await add(`each/${title}`, [step], ++batch)
      for (const way of ['one', 'each']) {
        expect(await retainedOn(`${way}/${title}`), `${title}, ${way}`).to.deep.equal(retained)
      }
    }
    // The others are told everything, and decide for themselves.
    const length = 2 * CASES.reduce((sum, { steps }) => sum + steps.length, 0)
    expect(await redis.send(keys.log, ['XLEN', keys.log])).to.equal(length)
  })

  it('tells for 10 minutes at which version it was cleared, of 100,000 topics at most', async () => {
    await add('old', [['', -700_000]], 1)
    await add('new', [['', 5]], 2)
    expect([...(await readStored(redis, keys)).cleared]).to.deep.equal([['new', NOW + 5]])
    const many = Array.from({ length: 100_000 }, (_, i) => [String(NOW + 10 + i), `t${i}`]).flat()
    await redis.send(keys.cleared, ['ZADD', keys.cleared, ...many])
    await add('newest', [['', 900_000]], 3)
    const { cleared } = await readStored(redis, keys)
    expect(cleared.size).to.equal(100_000)
    expect([cleared.has('new'), cleared.has('newest')]).to.deep.equal([false, true])
  })

  it('is told again in a time that does not grow with the log, unless it has changed since', async () => {
    const steps = Array.from({ length: 100 }, (_, i): Step => [String(i)])
    for (let batch = 1; batch <= 10; batch++) await add('busy', steps, batch)
    await add('cleared', [['a'], ['']], 11)
    const since = '1000999'
    const again = (topic: string): readonly string[] => ['{}', 'again', topic, '0', since]
    const before = await commandsSoFar()
    await send(['12', '1000', 'this one', ...['lost', 'busy', 'cleared'].flatMap(again)])
    expect(await commandsSoFar()).to.deep.equal(before)
    const numbers = (await redis.send(keys.retained, ['HGETALL', keys.retained])) as string[]
    expect(numbers.map((text) => text.split('\n')[0])).to.have.members([
      'lost',
      '1001003',
      'busy',
      '1001000',
    ])
  })

  /** How often the log was read. */
  async function commandsSoFar(): Promise<string | undefined> {
    const stats = String(await redis.send(keys.log, ['INFO', 'commandstats']))
    return /cmdstat_xrange:calls=\d+/.exec(stats)?.[0]
  }

  it('is looked up by an empty batch, which changes nothing', async () => {
    await add('t', [['a']], 3)
    expect(await send(['0', '0', 'this one'])).to.deep.equal([1_000_001, 3])
    const refused = await send(['0', '0', 'another']).catch(String)
    expect(refused).to.include('NEWDATA')
  })
})
