import { expect } from 'chai'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { V5 } from '../../helpers/mqtt-peer.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { drop, startTcpBroker, type TcpBroker } from '../../helpers/tcp-broker.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const keys = createClusterKeys('presence')

describe('what a broker in a cluster could not tell Redis', function () {
  this.timeout(40_000)
  let redis: RedisServer
  let one: TcpBroker

  beforeEach(async () => {
    redis = await startRedis()
    onTeardown(() => redis.close())
    one = await startTcpBroker({ cluster: { url: redis.url } })
  })

  async function isThere(key: string, field: string): Promise<boolean> {
    return (await redis.command(`HEXISTS ${key} ${field}`)) === ':1'
  }

  it('is told when Redis is back: who has gone, and that his will is void', async () => {
    const wills = keys.wills(one.broker.id)
    const will = { topic: 'wills/phone', payload: Buffer.from('gone'), qos: 1 } as const
    const peer = await one.connect({ ...V5, clientId: 'phone', will })
    await eventually('its will is there', () => isThere(wills, 'phone'))
    expect(await isThere(keys.clients, 'phone')).to.equal(true)
    redis.signal('SIGSTOP')
    onTeardown(() => redis.signal('SIGCONT'))
    await eventually('Redis is away', () => !one.broker.isConnected)
    await drop(peer, one)
    const guest = await one.connect({ ...V5, clientId: 'guest', will })
    await drop(guest, one)
    redis.signal('SIGCONT')
    await eventually('it is free', async () => !(await isThere(keys.clients, 'phone')))
    await eventually('its will is void', async () => !(await isThere(wills, 'phone')))
    expect(await isThere(keys.clients, 'guest')).to.equal(false)
    expect(await isThere(wills, 'guest')).to.equal(false)
  })

  it('is told when its data is older: who has gone since', async () => {
    await one.connect({ ...V5, clientId: 'stays' })
    const entry = { broker: one.broker.id, connection: 'c1', user: '', number: '1' }
    await redis.command(`HSET ${keys.clients} phone '${JSON.stringify(entry)}'`)
    await redis.command(`HSET ${keys.session('phone')} k 1`)
    await redis.restart('with data')
    await eventually('it is free', async () => !(await isThere(keys.clients, 'phone')), 10_000)
    expect(await isThere(keys.session('phone'), 'k')).to.equal(false)
    expect(await isThere(keys.clients, 'stays')).to.equal(true)
  })
})
