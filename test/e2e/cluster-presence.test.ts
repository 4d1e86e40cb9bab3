import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { runCli } from '../server/run-cli.ts'
import { shareInSuite } from '../helpers/cluster-suite.ts'
import { startCluster } from '../helpers/cluster.ts'
import { freePort } from '../helpers/free-port.ts'
import { connectVisitor, observe } from '../helpers/cluster-crowd.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { connectPeer, type MqttPeer, type PeerOptions } from '../helpers/mqtt-peer.ts'
import { isOffline, json, watch } from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'

const KEY = 'a-key-that-nobody-can-guess'

describe('two brokers', function () {
  this.timeout(20_000)
  const cluster = shareInSuite(() =>
    startCluster(2, { flags: ['--grace-closed', '1s', '--grace-broker', '2s'] }),
  )

  /** Somebody with a will, and who gets the wills on the other broker. */
  async function leaveWill(
    topic: string,
    properties: { readonly willDelayInterval?: number },
    options: PeerOptions = {},
  ): Promise<{ readonly peer: MqttPeer; readonly reader: MqttPeer; readonly clientId: string }> {
    const clientId = `client-${randomUUID()}`
    const reader = await connectPeer(cluster().at(1).mqttPort, { version: 5 })
    await reader.subscribe([{ topic: `${topic}/#`, qos: 0 }])
    const will = {
      topic: `${topic}/x`,
      payload: Buffer.from('gone'),
      qos: 1,
      retain: false,
    } as const
    const peer = await connectPeer(cluster().at(0).mqttPort, {
      version: 5,
      clientId,
      will: { ...will, properties },
      ...options,
    })
    return { peer, reader, clientId }
  }

  it('publish a will to the readers of both, once', async () => {
    const { peer, reader } = await leaveWill('will', {})
    peer.stream.destroy()
    const [will] = await within(5000, 'the will', reader.first(1))
    expect(String(will?.payload)).to.equal('gone')
    reader.publish({ topic: 'will/end' })
    expect(await within(5000, 'the last one', reader.until('will/end'))).to.have.length(1)
  })

  it('keep a will back that is to wait, and forget it when its session goes on at the other', async () => {
    const session = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const [first, second] = await Promise.all([
      leaveWill('late/1', { willDelayInterval: 2 }, session),
      leaveWill('late/2', { willDelayInterval: 2 }, session),
    ])
    for (const { peer } of [first, second]) peer.stream.destroy()
    const cutAt = performance.now()
    const { mqttPort } = cluster().at(1)
    await connectPeer(mqttPort, { version: 5, clientId: first.clientId, ...session })
    await within(6000, 'the will of who stays away', second.reader.first(1))
    expect(performance.now() - cutAt).to.be.above(1900)
    first.reader.publish({ topic: 'late/1/end' })
    expect(await within(5000, 'the last one', first.reader.until('late/1/end'))).to.deep.equal([])
  })

  it('let a page say at one that it unloads whose connection is at the other', async () => {
    const [here, there] = [cluster().at(0), cluster().at(1)]
    const reader = await watch(here, 'presence/#')
    const alice = await connectClient(here, { user: 'alice' })
    await alice.say({ status: 'online', unloadKey: KEY })
    const url = `http://127.0.0.1:${there.httpPort}/unload`
    const answer = await fetch(url, { method: 'POST', body: KEY })
    expect(answer.status).to.equal(204)
    const offline = await reader.next(isOffline('alice'))
    expect(json(offline)['reason']).to.equal('unload')
    expect(reader.messages.filter(({ text }) => text.includes(KEY))).to.deep.equal([])
  })

  it('are heard by a bridge of its own process that is attached to one of them', async () => {
    const { redis } = cluster()
    const flags = ['--redis', redis.url, '--broker', `mqtt://127.0.0.1:${cluster().at(0).mqttPort}`]
    const bridge = await startProgram({
      command: 'bridge',
      flags: [...flags, '--bridge-id', 'apart'],
    })
    const ready = async (): Promise<boolean> =>
      (await fetch(`http://127.0.0.1:${bridge.httpPort}/readyz`)).status === 200
    await eventually('the bridge is ready', ready)
    const ports = (): number[] => cluster().servers.map(({ mqttPort }) => mqttPort)
    // Of a room that nobody is in the first ones are known by its snapshot, and by no diff.
    const anchor = await connectVisitor({ user: 'anchor', ports, first: 0 })
    const observers = await Promise.all(ports().map(observe))
    await eventually('the room is known', () =>
      observers.every((one) => one.differences(['anchor'], []).length === 0),
    )
    const users = Array.from({ length: 10 }, (_, i) => `both-${i}`)
    const visitors = await Promise.all(
      users.map((user, first) => connectVisitor({ user, ports, first })),
    )
    // Who comes and goes within one batch is not told of.
    const isThere = (one: (typeof observers)[number]): boolean =>
      one.differences([...users, 'anchor'], []).length === 0
    await eventually('all are there', () => observers.every(isThere))
    const gone = visitors.slice(0, 4)
    await Promise.all(gone.map((visitor) => visitor.leave()))
    const here = ['anchor', ...users.slice(4)]
    const away = users.slice(0, 4)
    await eventually('exact', () =>
      observers.every((one) => one.differences(here, away).length === 0),
    )
    for (const { moves } of observers) {
      expect(moves.filter((move) => !move.startsWith('anchor')).toSorted()).to.deep.equal(
        [
          ...users.map((user) => `${user} joined`),
          ...away.map((user) => `${user} left`),
        ].toSorted(),
      )
    }
    // It hears those at the other broker too.
    const heard = (await bridge.metrics()).get('presence_bridge_documents_total') ?? 0
    expect(heard).to.be.above(users.length)
    // What it has to say does not wait for those in the servers.
    await bridge.stop()
    const late = await connectVisitor({ user: 'late', ports, first: 1 })
    await eventually('exact', () =>
      observers.every((one) => one.differences([...here, 'late'], away).length === 0),
    )
    await late.leave()
    await anchor.leave()
  })
})

describe('a broker that is to be one of several', function () {
  this.timeout(30_000)

  it('is one by its environment alone', async () => {
    const redis = await startRedis()
    onTeardown(() => redis.close())
    const env = { PRESENCE_REDIS_URL: redis.url, PRESENCE_CLUSTER: '1' }
    const [one, other] = await Promise.all([startProgram({ env }), startProgram({ env })])
    const reader = await watch(one, 'presence/users/alice')
    await connectClient(other, { user: 'alice' })
    expect(json(await reader.next('presence/users/alice'))).to.include({ status: 'online' })
  })

  it('says what is missing when it is given no Redis', async () => {
    const { code, stderr } = await runCli(['--cluster']).ended
    expect(stderr).to.equal('--cluster needs --redis, by which the brokers are one, got nothing\n')
    expect(code).to.equal(1)
  })

  it('says in a sentence that there is no Redis where it was told', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`
    const ports = ['--mqtt-port', '0', '--http-port', '0']
    const { code, stderr } = await runCli(['--cluster', '--redis', url, ...ports]).ended
    const [waiting = '', ...rest] = stderr.split('\n')
    expect(JSON.parse(waiting)).to.include({ level: 'warn', msg: 'waiting for Redis' })
    expect(rest.join('\n')).to.equal(
      `cannot use the Redis at ${url}: nothing listens there; check --redis or PRESENCE_REDIS_URL\n`,
    )
    expect(code).to.equal(1)
  })
})
