import { expect } from 'chai'
import type { AdoptedSession, Adoption } from '../../../broker/cluster/adoption.ts'
import { encodeMessage } from '../../../broker/cluster/entries.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import type { Script } from '../../../runtime/redis/script.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import {
  clusterKeys as keys,
  startSessions,
  type BrokerSessions,
} from '../../helpers/shared-sessions.ts'
import { onTeardown } from '../../helpers/teardown.ts'

const A_MINUTE = 60_000

/** How far everybody has read the log, and how far the sessions of the dead broker are written. */
const READ = 4
const WRITTEN = 2

interface Broker extends BrokerSessions {
  readonly adopted: AdoptedSession[]
  /** Client ids that somebody has here. */
  readonly taken: Set<string>
  readonly adoption: Adoption
}

describe('the sessions of a broker that has died', () => {
  let server: RedisServer
  let redis: RedisConnection

  beforeEach(async () => {
    server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    for (let number = 1; number <= READ; number++) await append(number)
  })

  async function append(number: number): Promise<void> {
    const sent = { topic: 't', payload: String(number), qos: 1, retain: false } as const
    const { head, message } = encodeMessage({ ...sent, brokerCounter: number })
    const fields = ['o', 'other', 'h', head, 'm', message]
    await redis.send(keys.log, ['XADD', keys.log, `${number}-0`, ...fields])
  }

  function start(
    broker: string,
    position: number,
    between: (script: Script) => Script = (script) => script,
  ): Broker {
    const own = startSessions(redis, broker, () => position, {
      between: ({ adoptClient }) => ({ adoptClient: between(adoptClient) }),
    })
    const adopted: AdoptedSession[] = []
    const taken = new Set<string>()
    const adoption: Adoption = {
      keptMs: A_MINUTE,
      isFree: (clientId) => !taken.has(clientId),
      onAdopted: (session) => adopted.push(session),
    }
    return { ...own, adopted, taken, adoption }
  }

  /** A broker that has written its sessions, and is not there any more. */
  async function leave(count: number): Promise<readonly string[]> {
    const { sessions, store } = start('dead', WRITTEN)
    const clientIds = Array.from({ length: count }, (_, i) => `client ${i}`)
    for (const [i, id] of clientIds.entries()) {
      store.keepSession(id)
      await store.addSubscriptions({ id }, [{ topic: 't', qos: 1 }])
      const entry = { broker: 'dead', connection: `c${i}`, user: 'alice', number: String(1000 + i) }
      await redis.send(keys.clients, ['HSET', keys.clients, id, JSON.stringify(entry)])
    }
    await sessions.flush()
    return clientIds
  }

  it('are taken over with what has come since they were written', async () => {
    const clientIds = await leave(450)
    const heir = start('heir', READ)
    await heir.sessions.adopt('dead', WRITTEN, heir.adoption)
    expect(heir.adopted.map(({ clientId }) => clientId)).to.have.members(clientIds)
    const { keptMs: _, ...last } =
      heir.adopted.find(({ clientId }) => clientId === 'client 7') ?? {}
    const connection = { connection: 'c7', number: 1007, heirs: 1 }
    expect(last).to.deep.equal({ clientId: 'client 7', user: 'alice', ...connection })
    const missing = clientIds.filter((id) => heir.waitingFor(id).join(' ') !== 'other:3 other:4')
    expect(missing).to.deep.equal([])
  })

  it('are all here, once, when that has failed and was done again', async () => {
    const clientIds = await leave(450)
    let calls = 0
    const heir = start('heir', READ, (script) => async (...args) => {
      const answer = await script(...args)
      // The answer is lost: of some that are here, and of some that are not.
      if (++calls === 300) throw new Error('the socket is closed')
      return answer
    })
    const error = await heir.sessions.adopt('dead', WRITTEN, heir.adoption).catch(String)
    expect(error).to.include('closed')
    expect(heir.adopted.length).to.be.within(1, 449)
    await heir.sessions.adopt('dead', WRITTEN, heir.adoption)
    expect(heir.adopted.map(({ clientId }) => clientId).toSorted()).to.deep.equal(
      clientIds.toSorted(),
    )
    const missing = clientIds.filter((id) => heir.waitingFor(id).join(' ') !== 'other:3 other:4')
    expect(missing).to.deep.equal([])
  })

  it('can be taken over from who dies while taking them over', async () => {
    const clientIds = await leave(10)
    const positions: unknown[] = []
    const first = start('first', READ, (script) => async (...args) => {
      positions.push(await redis.send(keys.positions, ['HGET', keys.positions, 'first']))
      return script(...args)
    })
    await first.sessions.flush()
    expect(await redis.send(keys.positions, ['HGET', keys.positions, 'first'])).to.equal('4')
    await first.sessions.adopt('dead', WRITTEN, first.adoption)
    // What it says that it has written is not more than what is in all of its sessions.
    expect(new Set(positions)).to.deep.equal(new Set(['2']))
    await first.sessions.flush()
    expect(await redis.send(keys.positions, ['HGET', keys.positions, 'first'])).to.equal('4')
    const second = start('second', READ)
    await second.sessions.adopt('first', WRITTEN, second.adoption)
    const missing = clientIds.filter((id) => second.waitingFor(id).join(' ') !== 'other:3 other:4')
    expect(missing).to.deep.equal([])
  })

  it('stay away from who has come meanwhile with a new one', async () => {
    await leave(2)
    const heir = start('heir', READ)
    heir.taken.add('client 1')
    heir.store.keepSession('client 1')
    await heir.sessions.adopt('dead', WRITTEN, heir.adoption)
    expect(heir.adopted.map(({ clientId }) => clientId)).to.deep.equal(['client 0'])
    expect(heir.waitingFor('client 1')).to.deep.equal([])
    const key = keys.session('client 1')
    expect(await redis.send(key, ['HKEYS', key])).to.have.members(['k', 'o'])
  })

  it('are handed over when they are here', async () => {
    await leave(1)
    const heir = start('heir', READ)
    let handedOver: Promise<number> | undefined
    const slow = start('slow', READ, (script) => async (...args) => {
      const answer = await script(...args)
      handedOver ??= slow.sessions.handOver('client 0')
      return answer
    })
    await slow.sessions.adopt('dead', WRITTEN, slow.adoption)
    const handover = { broker: 'slow', position: (await handedOver) ?? 0, ownPosition: 0 }
    expect(slow.store.hasSession('client 0')).to.equal(false)
    await heir.sessions.fetch('client 0', handover, () => true)
    expect(heir.waitingFor('client 0')).to.deep.equal(['other:3', 'other:4'])
  })
})
