import { expect } from 'chai'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import {
  createWillJournal,
  decodeWills,
  type WillJournal,
} from '../../../broker/cluster/will-journal.ts'
import { connectRedis } from '../../../runtime/redis/connection.ts'
import { breakable, type BreakableRedis } from '../../helpers/breakable-redis.ts'
import { settle } from '../../helpers/manual-clock.ts'
import { startRedis } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'

const keys = createClusterKeys('test')
const key = keys.wills('one')

const WILL: EmittedPacket = {
  cmd: 'publish',
  topic: 'wills/x',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: false,
  dup: false,
  brokerId: 'one',
  brokerCounter: 0,
}

describe('the wills of a broker in Redis', () => {
  let redis: BreakableRedis
  let journal: WillJournal
  let isUp: boolean

  beforeEach(async () => {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    const connection = await connectRedis({ url: server.url })
    onTeardown(() => connection.close())
    redis = breakable(connection)
    isUp = true
    journal = createWillJournal({
      broker: 'one',
      redis,
      keys,
      now: () => 1000,
      isUp: () => isUp,
      onUntold: () => {},
    })
  })

  function put(clientId: string, connection = 'c1'): void {
    journal.put(clientId, connection, WILL, 0)
  }

  async function there(): Promise<unknown> {
    return ((await redis.send(key, ['HKEYS', key])) as string[]).toSorted()
  }

  for (const broken of ['before Redis', 'after Redis'] as const) {
    it(`are right after a connection that broke ${broken}`, async () => {
      for (const clientId of ['gone', 'again', 'stays']) put(clientId)
      await there()
      redis.broken = broken
      journal.delete('gone', 'c1')
      journal.delete('again', 'c1')
      put('new')
      await settle()
      redis.broken = 'not'
      put('again', 'c2')
      await journal.retell()
      expect(await there()).to.deep.equal(['again', 'new', 'stays'])
    })
  }

  it('stay there while they are delayed, with when they are due', async () => {
    for (const clientId of ['delayed', 'published', 'back', 'stays']) {
      journal.put(clientId, 'c1', WILL, 5)
    }
    for (const clientId of ['delayed', 'published', 'back']) {
      journal.delay(clientId, 'c1', 5000)
      // Its connection is over.
      journal.delete(clientId, 'c1')
    }
    journal.settle('published')
    journal.settle('back')
    journal.put('back', 'c2', WILL, 5)
    // Of an earlier connection.
    journal.delay('back', 'c1', 5000)
    journal.settle('stays')
    await there()
    const fields = (await redis.sendForBytes(key, ['HGETALL', key])) as readonly Buffer[]
    const wills = decodeWills('one', fields).map(({ clientId, delaySeconds, dueMs, message }) => {
      expect(message).to.include({ topic: WILL.topic, qos: 1 })
      return [clientId, delaySeconds, dueMs]
    })
    expect(wills).to.have.deep.members([
      ['delayed', 5, 6000],
      ['back', 5, undefined],
      ['stays', 5, undefined],
    ])
  })

  it('are not told while it is away, and nothing is kept of who came and went meanwhile', async () => {
    for (const clientId of ['gone', 'again']) put(clientId)
    await there()
    isUp = false
    const { sent } = redis
    journal.delete('gone', 'c1')
    put('again', 'c2')
    for (let n = 0; n < 100; n++) {
      put(`guest-${n}`)
      put(`guest-${n}`, 'c2')
      journal.delete(`guest-${n}`, 'c2')
    }
    await settle()
    expect(redis.sent).to.equal(sent)
    isUp = true
    await journal.retell()
    expect(redis.sent).to.equal(sent + 2)
    expect(await there()).to.deep.equal(['again'])
  })

  it('are right again when the data is older', async () => {
    for (const clientId of ['gone', 'stays']) put(clientId)
    const old = (await redis.sendForBytes(key, ['HGETALL', key])) as readonly Buffer[]
    journal.delete('gone', 'c1')
    put('new')
    await there()
    await redis.send(key, ['DEL', key])
    await redis.send(key, ['HSET', key, ...old])
    journal.doubtRedis()
    await journal.retell()
    expect(await there()).to.deep.equal(['new', 'stays'])
  })
})
