import { expect } from 'chai'
import { createInheritance, type Inherit } from '../../../broker/cluster/inheritance.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import type { OrphanedWill } from '../../../broker/cluster/will-journal.ts'
import { silentLogger } from '../../../runtime/logger.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'
import { startRedis } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const keys = createClusterKeys('test')
const ORPHANS = keys.orphans('dead')

/** Who has a client id when the will is due, and whether it is published. */
interface Case {
  readonly title: string
  readonly owner: { readonly broker: string; readonly adopted?: string } | undefined
  readonly isConnected?: boolean
  readonly isPublished: boolean
}

const CASES: readonly Case[] = [
  { title: 'nobody has its client id', owner: undefined, isPublished: true },
  { title: 'only the dead broker has it', owner: { broker: 'dead' }, isPublished: true },
  { title: 'its client is at another broker', owner: { broker: 'other' }, isPublished: false },
  { title: 'its session is here', owner: { broker: 'heir', adopted: 'dead' }, isPublished: true },
  {
    title: 'its session is still with an heir that has died',
    owner: { broker: 'former heir', adopted: 'dead' },
    isPublished: true,
  },
  {
    title: 'its client is here',
    owner: { broker: 'heir' },
    isConnected: true,
    isPublished: false,
  },
]

/** By how much Redis' clock is ahead of this broker's, in milliseconds. */
const REDIS_AHEAD_MS = 60_000

describe('what a broker leaves behind that has died', () => {
  let redis: RedisConnection
  let clock: ManualClock
  let published: string[]
  let connected: Set<string>
  let isLeaving: boolean
  let adoptions: number
  /** How often taking over the sessions fails before it does not. */
  let failures: number
  let inherit: Inherit

  beforeEach(async () => {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    clock = new ManualClock()
    published = []
    connected = new Set()
    isLeaving = false
    adoptions = 0
    failures = 0
    inherit = createInheritance({
      broker: 'heir',
      redis,
      keys,
      clock,
      logger: silentLogger,
      clients: { has: () => false, adopted: () => {} },
      sessions: {
        async adopt() {
          adoptions++
          if (failures-- > 0) throw new Error('Redis is away')
        },
      },
      sessionExpiryMs: 1000,
      redisTime: () => clock.now() + REDIS_AHEAD_MS,
      isLeaving: () => isLeaving,
      isConnected: (clientId) => connected.has(clientId),
      onAdopted: () => {},
      onOrphanedWill: ({ topic }) => published.push(topic),
    })
  })

  async function leave(clientId: string, delaySeconds: number): Promise<OrphanedWill> {
    await redis.send(ORPHANS, ['HSET', ORPHANS, clientId, 'its will'])
    const topic = `wills/${clientId}`
    const rest = { cmd: 'publish', payload: Buffer.from('x'), qos: 1, retain: false } as const
    const name = { dup: false, brokerId: 'dead', brokerCounter: 0 }
    return { clientId, delaySeconds, message: { ...rest, ...name, topic } }
  }

  async function left(): Promise<unknown> {
    return redis.send(ORPHANS, ['HKEYS', ORPHANS])
  }

  for (const { title, owner, isConnected = false, isPublished } of CASES) {
    it(`is a will that is ${isPublished ? 'published' : 'void'} when ${title}`, async () => {
      const will = await leave('phone', 0)
      const entry = ['HSET', keys.clients, 'phone', JSON.stringify(owner)]
      if (owner) await redis.send(keys.clients, entry)
      if (isConnected) connected.add('phone')
      await inherit('dead', 0, [will])
      expect(published).to.deep.equal(isPublished ? ['wills/phone'] : [])
      expect(await left()).to.deep.equal([])
    })
  }

  it('is kept in Redis until it is due, for another heir', async () => {
    const wills = [await leave('phone', 0), await leave('tablet', 30)]
    let isDone = false
    const done = inherit('dead', 0, wills).then(() => (isDone = true))
    await eventually('the first is published', () => published.length === 1)
    await clock.advance(29_999)
    expect(await left()).to.deep.equal(['tablet'])
    expect(isDone).to.equal(false)
    await clock.advance(1)
    await done
    expect(published).to.deep.equal(['wills/phone', 'wills/tablet'])
    expect(await left()).to.deep.equal([])
  })

  it('is published when it is due, if its delay had begun before its broker was gone', async () => {
    const due = clock.now() + REDIS_AHEAD_MS
    const wills = [
      { ...(await leave('late', 30)), dueMs: due - 5000 },
      { ...(await leave('soon', 30)), dueMs: due + 4000 },
    ]
    const done = inherit('dead', 0, wills)
    await eventually('the first is published', () => published.length === 1)
    await clock.advance(3999)
    expect(published).to.deep.equal(['wills/late'])
    await clock.advance(1)
    await done
    expect(published).to.deep.equal(['wills/late', 'wills/soon'])
  })

  it('is not published when another heir has done so', async () => {
    const will = await leave('phone', 30)
    const done = inherit('dead', 0, [will])
    await redis.send(ORPHANS, ['DEL', ORPHANS])
    await clock.advance(30_000)
    await done
    expect(published).to.deep.equal([])
  })

  it('is dealt with again and again until that succeeds', async () => {
    failures = 3
    const done = inherit('dead', 0, [])
    for (const tries of [1, 2, 3, 4]) {
      await eventually('it has tried', () => adoptions === tries)
      await clock.advance(1000)
    }
    await done
  })

  it('is left to others when this broker leaves', async () => {
    const will = await leave('phone', 30)
    const done = inherit('dead', 0, [will]).catch(String)
    isLeaving = true
    await clock.advance(30_000)
    expect(await done).to.include('leaves')
    expect(published).to.deep.equal([])
    expect(await left()).to.deep.equal(['phone'])
  })
})
