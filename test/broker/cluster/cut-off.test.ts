import { expect } from 'chai'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { generate } from 'mqtt-packet'
import { createBroker } from '../../../broker/index.ts'
import { SLEEPER, type MqttPeer } from '../../helpers/mqtt-peer.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { startSlowProxy } from '../../helpers/slow-proxy.ts'
import { drop, startTcpBroker, type TcpBroker } from '../../helpers/tcp-broker.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually, within } from '../../helpers/within.ts'

const CLIENTS = 'presence:{cluster}:clients'

/** How long Redis is asked for a client id, in milliseconds. */
const SLOW_MS = 150

describe('a CONNECT that is cut off while Redis is asked', function () {
  this.timeout(20_000)
  let redis: RedisServer
  let delayMs: number

  beforeEach(async () => {
    delayMs = 0
    redis = await startRedis('--appendonly', 'no')
    onTeardown(() => redis.close())
  })

  async function start(): Promise<TcpBroker> {
    const port = await startSlowProxy(redis.port, () => delayMs)
    return startTcpBroker({ cluster: { url: `redis://127.0.0.1:${port}` } })
  }

  /** Who has the client id, as Redis says. */
  async function entry(): Promise<Record<string, unknown>> {
    const answer = await redis.command(`HGET ${CLIENTS} sleeper`, '}')
    const [, json = '{}'] = /(\{.*\})/.exec(answer) ?? []
    return JSON.parse(json) as Record<string, unknown>
  }

  async function cutOff({ port, untilConnections, broker }: TcpBroker): Promise<void> {
    const count = broker.metrics()['connections'] ?? 0
    delayMs = SLOW_MS
    const socket = connect(port, '127.0.0.1')
    const { version, ...options } = SLEEPER
    socket.write(generate({ cmd: 'connect', protocolVersion: version, ...options } as never))
    await untilConnections(count + 1)
    await pause(SLOW_MS / 2)
    socket.destroy()
    await untilConnections(count)
    await pause(4 * SLOW_MS)
    delayMs = 0
  }

  async function publish(broker: TcpBroker): Promise<void> {
    const peer = await broker.connect()
    await peer.request(
      {
        cmd: 'publish',
        topic: 'news',
        payload: 'x',
        messageId: 1,
        qos: 1,
        retain: false,
        dup: false,
      },
      'puback',
    )
  }

  /** The client comes back, and has what was sent to it meanwhile. */
  async function resume(broker: TcpBroker): Promise<MqttPeer> {
    const peer = await broker.connect(SLEEPER)
    expect(peer.connack.sessionPresent).to.equal(true)
    peer.acknowledge()
    const [message] = await within(3000, 'what was kept', peer.first(1))
    expect(message).to.include({ topic: 'news' })
    return peer
  }

  it('leaves the session that is kept here, for as long as it was', async () => {
    const [one, two] = [await start(), await start()]
    const peer = await one.connect(SLEEPER)
    await peer.subscribe([{ topic: 'news', qos: 1 }])
    await drop(peer, one)
    await eventually('its end is known', async () => 'untilMs' in (await entry()))
    const { untilMs } = await entry()
    await cutOff(one)
    await eventually('it is kept', async () => 'untilMs' in (await entry()))
    expect((await entry())['untilMs']).to.be.closeTo(Number(untilMs), 100)
    expect(one.broker.metrics()).to.include({ sessions: 1 })
    await publish(two)
    await resume(two)
  })

  it('leaves the session that came along from another broker, and it is counted', async () => {
    const [one, two] = [await start(), await start()]
    const peer = await one.connect(SLEEPER)
    await peer.subscribe([{ topic: 'news', qos: 1 }])
    await drop(peer, one)
    await cutOff(two)
    await eventually('it is kept', async () => (await entry())['broker'] === two.broker.id)
    await eventually('it is kept', async () => 'untilMs' in (await entry()))
    expect(one.broker.metrics()).to.include({ sessions: 0 })
    expect(two.broker.metrics()).to.include({ sessions: 1 })
    await publish(two)
    await resume(one)
    expect(two.broker.metrics()).to.include({ sessions: 0 })
  })

  it('leaves the connection that is there', async () => {
    const one = await start()
    const peer = await one.connect(SLEEPER)
    await peer.subscribe([{ topic: 'news', qos: 1 }])
    const before = await entry()
    await cutOff(one)
    await eventually('it is there', async () => {
      return (await entry())['connection'] === before['connection']
    })
    await publish(one)
    await within(3000, 'the message', peer.first(1))
    peer.send({ cmd: 'disconnect' })
    await eventually('its end is known', async () => 'untilMs' in (await entry()))
  })
})

describe('a broker that cannot join others', () => {
  it('leaves no connection to Redis behind when the second one is refused', async () => {
    const redis = await startRedis('--appendonly', 'no')
    onTeardown(() => redis.close())
    let open = 0
    const proxy = createServer((near) => {
      // Whoever comes then is refused.
      proxy.close()
      open++
      const far = connect(redis.port, '127.0.0.1')
      near.pipe(far)
      far.pipe(near)
      far.on('error', () => near.destroy())
      near.on('error', () => far.destroy())
      near.on('close', () => {
        open--
        far.destroy()
      })
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const { port } = proxy.address() as AddressInfo
    const cluster = { url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 300 }
    const failed = await createBroker({ mqttPort: 0, cluster }).catch(String)
    expect(failed).to.include('no answer within 300 ms')
    await eventually('it is closed', () => open === 0, 1000)
  })
})
