import { expect } from 'chai'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { generate, type IConnectPacket } from 'mqtt-packet'
import type { MqttPeer, PeerOptions } from '../helpers/mqtt-peer.ts'
import { createRandom } from '../helpers/random.ts'
import { startTcpBroker } from '../helpers/tcp-broker.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

const TAKEN_OVER = 0x8e

/** A client with a will that names it. */
function withWill(name: string, options: PeerOptions = {}): PeerOptions {
  const will = { topic: 'wills', payload: Buffer.from(name), qos: 1, retain: false } as const
  return { clientId: 'phone', ...options, will: { ...will, ...options.will } }
}

describe('a takeover', () => {
  it('tells a version 5 client why it has to go', async () => {
    const { connect } = await startTcpBroker()
    const first = await connect({ clientId: 'phone', version: 5 })
    await connect({ clientId: 'phone' })
    expect(await first.closed).to.equal(TAKEN_OVER)
  })

  it('leaves one of many that connect in one moment', async () => {
    const { broker, connect, untilConnections } = await startTcpBroker()
    const reader = await connect()
    await reader.subscribe([{ topic: 'n' }])
    const attempts = Array.from({ length: 20 }, (_, i) =>
      connect({ clientId: 'phone', version: i % 2 === 0 ? 5 : 4, clean: i % 3 === 0 }),
    )
    const peers = await Promise.all(attempts)
    await untilConnections(2)
    const left = (): MqttPeer[] => peers.filter(({ stream }) => !stream.destroyed)
    await eventually('one is left', () => left().length === 1)
    const [last] = left()
    last?.publish({ topic: 'n' })
    await reader.until('n')
    expect(broker.metrics()['connects']).to.equal(21)
  })

  it('does not wait for a client that does not read', async () => {
    const { broker, connect } = await startTcpBroker({ maxQueuedBytes: 64 * 1024 * 1024 })
    const stuck = await connect({ clientId: 'phone', version: 5 })
    await stuck.subscribe([{ topic: 'n' }])
    stuck.stream.pause()
    const publisher = await connect()
    for (let i = 0; i < 200; i++) {
      publisher.publish({ topic: 'n', payload: Buffer.alloc(64 * 1024) })
    }
    await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    const next = await connect({ clientId: 'phone', version: 5 })
    await next.subscribe([{ topic: 'end' }])
    publisher.publish({ topic: 'end' })
    await next.until('end')
    expect(broker.metrics()['connections']).to.equal(2)
  })

  it('publishes the will of the old connection, and keeps that of the new one', async () => {
    const { connect } = await startTcpBroker()
    const reader = await connect()
    await reader.subscribe([{ topic: 'wills' }])
    await connect(withWill('first'))
    const second = await connect(withWill('second'))
    await reader.first(1)
    second.stream.destroy()
    await reader.first(2)
    expect(reader.messages.map(({ payload }) => payload.toString())).to.deep.equal([
      'first',
      'second',
    ])
  })

  it('within the delay of a will means that it is not published, unless it begins a new session', async () => {
    const { connect } = await startTcpBroker()
    const reader = await connect()
    await reader.subscribe([{ topic: 'wills' }, { topic: 'end' }])
    const delayed = (name: string, clean: boolean): PeerOptions =>
      withWill(name, {
        version: 5,
        clean,
        properties: { sessionExpiryInterval: 600 },
        will: {
          topic: 'wills',
          payload: Buffer.from(name),
          properties: { willDelayInterval: 300 },
        },
      })
    await connect(delayed('resumed', true))
    await connect(delayed('forgotten', false))
    await connect(delayed('last', true))
    await reader.first(1)
    reader.publish({ topic: 'end' })
    const wills = await reader.until('end')
    expect(wills.map(({ payload }) => payload.toString())).to.deep.equal(['forgotten'])
  })
})

describe('a user with all the connections that it may have', () => {
  it('comes in again as soon as those have gone, even if they were aborted', async () => {
    const { port, connect, untilConnections } = await startTcpBroker({
      limits: { maxConnectionsPerUser: 5, maxConnectsPerSecond: 100_000 },
    })
    const steady = await connect({ clientId: 'steady', username: 'me' })
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 4; i++) {
        const socket = connectTcp({ port, noDelay: true })
        socket.on('error', () => {})
        const clientId = `aborted-${round}-${i}`
        const connect4 = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4 } as const
        socket.write(generate({ ...connect4, clientId, username: 'me', clean: true, keepalive: 0 }))
        socket.once('connect', () => setImmediate(() => socket.resetAndDestroy()))
        await once(socket, 'close')
      }
      await untilConnections(1)
      const peers = await Promise.all(
        [1, 2, 3, 4].map((i) => connect({ clientId: `back-${round}-${i}`, username: 'me' })),
      )
      expect(peers.map(({ connack }) => connack.returnCode)).to.deep.equal([0, 0, 0, 0])
      for (const peer of peers) peer.stream.destroy()
      await untilConnections(1)
    }
    expect(steady.stream.destroyed).to.equal(false)
  })
})

describe('the count of connections', () => {
  const IDS = ['a', 'b', 'c', 'd', '__proto__']

  it('is that of the open sockets after 10,000 random connects, resets and takeovers', async function () {
    this.timeout(120_000)
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    const random = createRandom(seed)
    const limits = { maxConnectionsPerUser: 5 }
    const { broker, port, connect, untilConnections } = await startTcpBroker({ limits })
    const timersBefore = timers()
    const open = new Set<Socket>()
    onTeardown(() => {
      for (const socket of open) socket.destroy()
    })

    const steps: (() => unknown)[] = [
      () => dial(),
      () => dial().write(connectPacket()),
      () => dial().write(connectPacket()),
      () => dial().write(connectPacket()),
      // The same id twice in one moment.
      () => {
        const packet = connectPacket()
        dial().write(packet)
        dial().write(packet)
      },
      () => dial().write(connectPacket().subarray(0, 5)),
      () => dial().end(connectPacket()),
      () => pickOpen()?.resetAndDestroy(),
      () => pickOpen()?.destroy(),
      () => pickOpen()?.write(Buffer.from([0xe0, 0])),
      () => pickOpen()?.write(Buffer.from([0xf0, 0, 1])),
      () => {
        const socket = dial()
        socket.write(connectPacket())
        socket.once('connect', () => setImmediate(() => socket.destroy()))
      },
    ]

    function dial(): Socket {
      const socket = connectTcp({ port, noDelay: true })
      open.add(socket)
      socket.on('error', () => {})
      socket.on('data', () => {})
      socket.once('close', () => open.delete(socket))
      return socket
    }

    function pickOpen(): Socket | undefined {
      const up = [...open].filter(({ connecting, destroyed }) => !connecting && !destroyed)
      return up.length > 0 ? random.pick(up) : undefined
    }

    function connectPacket(): Buffer {
      const protocolVersion = random.pick([3, 4, 5] as const)
      const packet: IConnectPacket = {
        cmd: 'connect',
        protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
        protocolVersion,
        clientId: random.pick(IDS),
        username: 'somebody',
        clean: random.chance(0.5),
        keepalive: 60,
        ...(random.chance(0.3) && {
          will: { topic: 'w', payload: Buffer.from('x'), qos: 1, retain: random.chance(0.5) },
        }),
        ...(protocolVersion === 5 && {
          properties: { sessionExpiryInterval: random.pick([0, 1, 600]) },
        }),
      }
      return generate(packet, { protocolVersion })
    }

    try {
      for (let i = 0; i < 10_000; i++) {
        random.pick(steps)()
        if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
        if (open.size > 100) {
          for (const socket of [...open].slice(0, 50)) socket.destroy()
          await eventually('some have closed', () => open.size <= 60)
        }
      }
      await eventually(
        'as many connections as sockets',
        () => broker.metrics()['connections'] === open.size,
      )
      for (const socket of open) socket.destroy()
      await untilConnections(0)
      // Nothing is left of the user's connections: all that it may have it can have.
      await eventually('the user may connect as often as ever', async () => {
        const peers = await Promise.all(
          IDS.map((clientId) => connect({ clientId, username: 'somebody' })),
        )
        for (const { stream } of peers) stream.destroy()
        await untilConnections(0)
        return peers.every(({ connack }) => connack.returnCode === 0)
      })
      await eventually('no timer is left', () => timers() <= timersBefore)
      expect(broker.metrics()['errors']).to.equal(0)
    } catch (error) {
      throw new Error(`with SEED=${seed}: ${(error as Error).message}`, { cause: error })
    }
  })
})

/** Timers that keep the process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}
