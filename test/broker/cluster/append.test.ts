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
    await redis.send(keys.head, ['HSET', keys.head, 'epoch', '1'])
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
    const { log, head, batches, retained, cleared } = keys
    await append([log, head, batches, retained, cleared], ['one', String(batch), '1000', ...args])
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
})
