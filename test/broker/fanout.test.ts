import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Aedes, type AedesOptions } from 'aedes'
import { expect } from 'chai'
import { createWebSocketStream, WebSocket } from 'ws'
import type { AedesClient, EmittedPacket } from '../../broker/aedes-internals.ts'
import { createFanoutEmitter } from '../../broker/fanout/emitter.ts'
import type { FanoutOptions } from '../../broker/fanout/options.ts'
import { SlowReaderError } from '../../broker/fanout/slow-readers.ts'
import { MemoryPersistence } from '../../broker/persistence/memory-persistence.ts'
import { createTcpListener } from '../../broker/transport/tcp-listener.ts'
import { attachWebSocketListener } from '../../broker/transport/websocket-listener.ts'
import { connectPeer, openPeer, type MqttPeer, type PeerOptions } from '../helpers/mqtt-peer.ts'
import { onTeardown } from '../helpers/teardown.ts'

const PACKET = { cmd: 'publish', payload: '', qos: 0, retain: false, dup: false } as const

/** A connected client as Aedes has it. */
function clientOf(aedes: Aedes, id: string): AedesClient {
  const { clients } = aedes as Aedes & { clients: Record<string, AedesClient> }
  const client = clients[id]
  if (!client) throw new Error(`${id} is not connected`)
  return client
}

/** Aedes with the fan-out, nothing else between them, and its two ports. */
async function startBroker(options: FanoutOptions = {}, aedesOptions: AedesOptions = {}) {
  const persistence = new MemoryPersistence({ isSentByFanout: true })
  const fanout = createFanoutEmitter({
    queueOf: (clientId) => persistence.queueOf(clientId),
    ...options,
  })
  const aedes = await Aedes.createBroker({
    ...aedesOptions,
    mq: fanout,
    persistence,
    drainTimeout: 0,
    preConnect(client, _packet, callback) {
      fanout.adopt(client)
      callback(null, true)
    },
  })
  aedes.on('client', ({ id, clean }) => {
    if (!clean) persistence.keepSession(id)
  })
  const onConnection = (stream: Parameters<Aedes['handle']>[0]): void => void aedes.handle(stream)
  const tcp = createTcpListener({ onConnection })
  const http = createServer()
  const webSockets = attachWebSocketListener(http, { onConnection })
  const port = await tcp.listen(0, '127.0.0.1')
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  onTeardown(async () => {
    await new Promise<void>((done) => aedes.close(done))
    await Promise.all([tcp.close(), webSockets.close(), new Promise((done) => http.close(done))])
  })
  return {
    aedes,
    fanout,
    webSocketPort: (http.address() as AddressInfo).port,
    connect: (peer?: PeerOptions): Promise<MqttPeer> => connectPeer(port, peer),
  }
}

describe('the fan-out delivers', () => {
  it('once to a client with overlapping subscriptions, at the highest QoS', async () => {
    const { connect } = await startBroker()
    const publisher = await connect()
    const filters = ['#', 'a/b', 'a/+']
    for (const best of filters) {
      const reader = await connect()
      await reader.subscribe(filters.map((topic) => ({ topic, qos: topic === best ? 1 : 0 })))
      publisher.publish({ topic: 'a/b', qos: 2 })
      publisher.publish({ topic: 'a/b', qos: 0 })
      publisher.publish({ topic: 'end', qos: 2 })
      const messages = await reader.until('end')
      expect(messages.map(({ qos }) => qos)).to.have.members([0, 1])
    }
  })

  it('no higher QoS than was granted, to wildcards too', async () => {
    const { connect } = await startBroker()
    const publisher = await connect()
    const granted = [0, 1, 2] as const
    for (const filter of ['room/1', 'room/+', '#']) {
      const readers = await Promise.all(granted.map(() => connect()))
      await Promise.all(
        readers.map((reader, qos) => reader.subscribe([{ topic: filter, qos: qos as 0 | 1 | 2 }])),
      )
      for (const qos of granted) publisher.publish({ topic: 'room/1', qos })
      await Promise.all(
        readers.map(async (reader, qos) => {
          await reader.first(3)
          const got = reader.messages.map((message) => message.qos)
          expect(got).to.have.members([0, Math.min(1, qos), Math.min(2, qos)])
        }),
      )
    }
  })

  it('every message, however plain ones and stored ones mix', async () => {
    const { connect } = await startBroker()
    const reader = await connect()
    const publisher = await connect()
    await reader.subscribe([{ topic: '#', qos: 1 }])
    for (let i = 0; i < 200; i++) {
      publisher.publish({ topic: `kept/${i}`, retain: true, payload: 'x' })
      publisher.publish({ topic: `acknowledged/${i}`, qos: 1 })
      publisher.publish({ topic: `plain/${i}` })
    }
    await reader.first(600)
    expect(new Set(reader.messages.map(({ topic }) => topic)).size).to.equal(600)
  })

  it('in the order of publishing, over more turns than one', async () => {
    const { connect } = await startBroker({ deliveriesPerTurn: 3 })
    const readers = await Promise.all([connect(), connect()])
    const publishers = await Promise.all([connect(), connect()])
    for (const reader of readers) await reader.subscribe([{ topic: '#' }])
    for (let i = 0; i < 500; i++) {
      for (const [p, publisher] of publishers.entries()) {
        publisher.publish({ topic: `from/${p}`, payload: String(i) })
      }
    }
    for (const reader of readers) {
      await reader.first(1000)
      for (const p of publishers.keys()) {
        const mine = reader.messages.filter(({ topic }) => topic === `from/${p}`)
        expect(mine.map(({ payload }) => Number(payload))).to.deep.equal([...Array(500).keys()])
      }
    }
  })

  it('topics that start with $ to filters that name it only', async () => {
    const { aedes, connect } = await startBroker()
    const [all, any, exact] = await Promise.all([connect(), connect(), connect()])
    await all.subscribe([{ topic: '#' }])
    await any.subscribe([{ topic: '+/news' }, { topic: 'end' }])
    await exact.subscribe([{ topic: '$own/+' }, { topic: 'end' }])
    aedes.publish({ ...PACKET, topic: '$own/news' }, () => {})
    aedes.publish({ ...PACKET, topic: 'end' }, () => {})
    const [atAll, atAny, atExact] = await Promise.all([
      all.until('end'),
      any.until('end'),
      exact.until('end'),
    ])
    expect([atAll, atAny]).to.deep.equal([[], []])
    expect(atExact.map(({ topic }) => topic)).to.deep.equal(['$own/news'])
  })

  it('nothing more after UNSUBSCRIBE', async () => {
    const { connect } = await startBroker()
    const reader = await connect()
    const publisher = await connect()
    await reader.subscribe([{ topic: 'news' }, { topic: 'end' }])
    publisher.publish({ topic: 'news', payload: 'first' })
    await reader.until('news')
    await reader.request(
      { cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['news'] },
      'unsuback',
    )
    publisher.publish({ topic: 'news', payload: 'second' })
    publisher.publish({ topic: 'end' })
    expect((await reader.until('end')).length).to.equal(1)
  })

  it('on, when UNSUBSCRIBE and SUBSCRIBE come at once', async () => {
    const { connect } = await startBroker()
    const reader = await connect()
    const publisher = await connect()
    await reader.subscribe([{ topic: 'news' }])
    reader.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['news'] })
    await reader.subscribe([{ topic: 'news' }])
    publisher.publish({ topic: 'news' })
    await reader.until('news')
  })

  it('to filters named like members of Object', async () => {
    const { connect } = await startBroker()
    const reader = await connect({ version: 5 })
    const publisher = await connect()
    const { granted } = await reader.request(
      { cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['toString'] },
      'unsuback',
    )
    expect(granted, 'no subscription existed').to.deep.equal([0x11])
    const names = ['toString', '__proto__', 'constructor']
    for (const topic of names) await reader.subscribe([{ topic, qos: 1 }])
    for (const topic of names) publisher.publish({ topic, qos: 1 })
    publisher.publish({ topic: 'toString' })
    await reader.first(4)
    expect(reader.messages.map(({ qos }) => qos)).to.have.members([0, 1, 1, 1])
  })

  it('only what the reader may read', async () => {
    const asked: string[] = []
    const mayRead = (client: { id: string }, { topic }: EmittedPacket): boolean => {
      if (topic === 'secret' || topic === 'end') asked.push(`${client.id} ${topic}`)
      return topic !== 'secret'
    }
    const { connect } = await startBroker({ mayRead })
    const reader = await connect({ clientId: 'reader' })
    await reader.subscribe([{ topic: 'secret', qos: 1 }, { topic: '#' }])
    const publisher = await connect()
    publisher.publish({ topic: 'secret', qos: 1 })
    publisher.publish({ topic: 'secret' })
    publisher.publish({ topic: 'end' })
    expect(await reader.until('end')).to.deep.equal([])
    expect(asked.toSorted()).to.deep.equal(['reader end', 'reader secret', 'reader secret'])
  })

  it('to listeners of the embedder as well', async () => {
    const { aedes, connect } = await startBroker()
    const heard: string[] = []
    const listener = (packet: EmittedPacket, done: () => void): void => {
      heard.push(`${packet.topic} from ${packet.clientId}`)
      done()
    }
    aedes.subscribe('news/+', listener, () => {})
    const publisher = await connect({ clientId: 'me' })
    await publisher.subscribe([{ topic: 'end' }])
    publisher.publish({ topic: 'news/1' })
    publisher.publish({ topic: 'end' })
    await publisher.until('end')
    aedes.unsubscribe('news/+', listener, () => {})
    publisher.publish({ topic: 'news/2' })
    publisher.publish({ topic: 'end' })
    await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    expect(heard).to.deep.equal(['news/1 from me'])
  })

  it('to WebSockets, several packets of a turn in one frame', async () => {
    const { connect, webSocketPort } = await startBroker()
    const socket = new WebSocket(`ws://127.0.0.1:${webSocketPort}/mqtt`, 'mqtt')
    const reader = await openPeer(createWebSocketStream(socket))
    await reader.subscribe([{ topic: '#' }])
    let frames = 0
    socket.on('message', () => frames++)
    const publisher = await connect()
    publisher.stream.cork()
    for (let i = 0; i < 100; i++) publisher.publish({ topic: 'news' })
    publisher.publish({ topic: 'end' })
    publisher.stream.uncork()
    expect((await reader.until('end')).length).to.equal(100)
    expect(frames).to.be.lessThan(20)
  })

  it('nothing behind a DISCONNECT', async () => {
    const { aedes, connect } = await startBroker()
    const reader = await connect({ version: 5, clientId: 'reader' })
    await reader.subscribe([{ topic: '#' }])
    const gone = once(reader.stream, 'close')
    aedes.publish({ ...PACKET, topic: 'before' }, () => {})
    clientOf(aedes, 'reader').disconnect({ reasonCode: 0x98 })
    aedes.publish({ ...PACKET, topic: 'behind' }, () => {})
    await gone
    expect(reader.messages.map(({ topic }) => topic)).to.deep.equal(['before'])
  })

  it('what the embedder sends to one client, stored or not', async () => {
    const { aedes, connect } = await startBroker()
    const reader = await connect({ clientId: 'reader', clean: false })
    const client = clientOf(aedes, 'reader')
    client.publish({ ...PACKET, topic: 'stored', qos: 1 }, () => {})
    client.publish({ ...PACKET, topic: 'plain' }, () => {})
    const messages = await reader.first(2)
    expect(messages.map(({ topic }) => topic)).to.have.members(['stored', 'plain'])
  })

  it('tells the publisher when a message cannot be encoded, and harms no reader', async () => {
    const { aedes, connect } = await startBroker()
    const reader = await connect({ version: 5 })
    await reader.subscribe([{ topic: '#' }])
    const broken = { ...PACKET, topic: 'news', properties: { contentType: 5 as never } }
    const error = await new Promise<Error | undefined>((done) => aedes.publish(broken, done))
    expect(error?.message).to.match(/contentType/)
    aedes.publish({ ...PACKET, topic: 'end' }, () => {})
    expect(await reader.until('end')).to.deep.equal([])
  })
})

describe('the fan-out delivers to version 5', () => {
  it('the retain flag as published to who asked for it, and false to all others', async () => {
    const { connect } = await startBroker()
    const [asPublished, plain, old] = await Promise.all([
      connect({ version: 5 }),
      connect({ version: 5 }),
      connect({ version: 4 }),
    ])
    await asPublished.subscribe([{ topic: '#', rap: true, qos: 1 }])
    await plain.subscribe([{ topic: '#', qos: 1 }])
    await old.subscribe([{ topic: '#', qos: 1 }])
    const publisher = await connect()
    for (const qos of [0, 1] as const) {
      publisher.publish({ topic: `kept/${qos}`, retain: true, qos, payload: 'x' })
      publisher.publish({ topic: `passing/${qos}`, qos })
    }
    for (const [reader, isKept] of [
      [asPublished, true],
      [plain, false],
      [old, false],
    ] as const) {
      await reader.first(4)
      const flags = Object.fromEntries(reader.messages.map(({ topic, retain }) => [topic, retain]))
      expect(flags).to.deep.equal({
        'kept/0': isKept,
        'kept/1': isKept,
        'passing/0': false,
        'passing/1': false,
      })
    }
  })

  it('not the own messages of a no-local subscription, but those of another one', async () => {
    const { connect } = await startBroker()
    const [local, both, mixed, other] = await Promise.all([
      connect({ version: 5 }),
      connect({ version: 5 }),
      connect({ version: 5 }),
      connect({ version: 5 }),
    ])
    await local.subscribe([{ topic: 'news', nl: true, qos: 1 }, { topic: 'end' }])
    await both.subscribe([{ topic: 'news', nl: true, qos: 1 }, { topic: '#' }])
    await mixed.subscribe([{ topic: '#', nl: true, qos: 1 }, { topic: 'news' }])
    await other.subscribe([{ topic: '#' }])
    local.publish({ topic: 'news', payload: 'of local', qos: 1 })
    both.publish({ topic: 'news', payload: 'of both', qos: 1 })
    mixed.publish({ topic: 'news', payload: 'of mixed', qos: 1 })
    await other.first(3)
    other.publish({ topic: 'end' })
    const payloads = async (peer: MqttPeer): Promise<string[]> =>
      (await peer.until('end'))
        .map(({ payload, qos }) => `${payload.toString()} at ${qos}`)
        .toSorted()
    expect(await payloads(local)).to.deep.equal(['of both at 1', 'of mixed at 1'])
    expect(await payloads(both)).to.deep.equal(['of both at 0', 'of local at 1', 'of mixed at 1'])
    expect(await payloads(mixed)).to.deep.equal(['of both at 1', 'of local at 1', 'of mixed at 0'])
  })

  it('the identifiers of all matching subscriptions', async () => {
    const { connect } = await startBroker()
    const reader = await connect({ version: 5 })
    await reader.subscribe([{ topic: 'a/b', qos: 1 }], { subscriptionIdentifier: 7 })
    await reader.subscribe([{ topic: 'a/#', qos: 0 }], { subscriptionIdentifier: 300 })
    await reader.subscribe([{ topic: '#', qos: 0 }])
    const publisher = await connect({ version: 5 })
    for (const qos of [0, 1] as const) publisher.publish({ topic: 'a/b', qos })
    publisher.publish({ topic: 'a/c', qos: 1 })
    publisher.publish({ topic: 'end', qos: 1 })
    const identifiers = (await reader.until('end')).map(({ topic, properties }) => {
      const given = [properties?.subscriptionIdentifier ?? []].flat()
      return `${topic}: ${given.toSorted((one, other) => one - other).join()}`
    })
    expect(identifiers).to.deep.equal(['a/b: 7,300', 'a/b: 7,300', 'a/c: 300'])
  })

  it('the properties that a server forwards, and no others; none to older versions', async () => {
    const { aedes, connect } = await startBroker()
    const [old, oldest, reader] = await Promise.all([
      connect({ version: 4 }),
      connect({ version: 3 }),
      connect({ version: 5 }),
    ])
    for (const peer of [old, oldest, reader]) await peer.subscribe([{ topic: '#', qos: 1 }])
    const forwarded = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      contentType: 'text/plain',
      responseTopic: 'answers',
      correlationData: Buffer.from('1'),
      userProperties: { name: ['one', 'two'] },
    }
    const willOnly = { willDelayInterval: 5 }
    for (const qos of [0, 1] as const) {
      const properties = { ...forwarded, ...willOnly, subscriptionIdentifier: 4 }
      aedes.publish({ ...PACKET, topic: 'will', payload: 'x', qos, properties }, () => {})
    }
    for (const peer of [old, oldest, reader]) {
      await peer.first(2)
    }
    for (const { properties } of reader.messages) {
      // A parser's user properties have no prototype.
      expect(JSON.parse(JSON.stringify(properties))).to.deep.equal(
        JSON.parse(JSON.stringify(forwarded)),
      )
    }
    for (const { properties } of [...old.messages, ...oldest.messages]) {
      expect(properties).to.equal(undefined)
    }
  })

  it('no packet above the size that it takes', async () => {
    const { connect } = await startBroker()
    const reader = await connect({ version: 5, properties: { maximumPacketSize: 100 } })
    await reader.subscribe([{ topic: '#', qos: 1 }])
    const publisher = await connect()
    for (const qos of [0, 1] as const) {
      publisher.publish({ topic: 'large', payload: Buffer.alloc(200), qos })
      publisher.publish({ topic: 'small', payload: Buffer.alloc(20), qos })
    }
    publisher.publish({ topic: 'end', qos: 1 })
    const messages = await reader.until('end')
    expect(messages.map(({ topic }) => topic)).to.deep.equal(['small', 'small'])
  })
})

describe('the fan-out and persistent sessions', () => {
  const SESSION = {
    clientId: 'sleeper',
    version: 5,
    clean: false,
    properties: { sessionExpiryInterval: 60 },
  } as const

  it('an acknowledged message is not sent again, whatever flags it had', async () => {
    const { connect } = await startBroker()
    const first = await connect(SESSION)
    const publisher = await connect()
    await first.subscribe([{ topic: '#', qos: 1, rap: true }])
    publisher.publish({ topic: 'kept', retain: true, qos: 1, payload: 'x' })
    publisher.publish({ topic: 'plain', qos: 1 })
    await first.first(2)
    for (const { messageId } of first.messages)
      first.send({ cmd: 'puback', messageId: messageId ?? 0 })
    await first.request({ cmd: 'pingreq' }, 'pingresp')
    first.stream.destroy()

    const second = await connect(SESSION)
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await second.until('end')).to.deep.equal([])
  })

  it('a message without an acknowledgement is sent again', async () => {
    const { connect } = await startBroker()
    const first = await connect(SESSION)
    const publisher = await connect()
    await first.subscribe([{ topic: '#', qos: 1 }])
    publisher.publish({ topic: 'news', qos: 1 })
    await first.until('news')
    first.stream.destroy()

    const second = await connect(SESSION)
    publisher.publish({ topic: 'end', qos: 1 })
    expect((await second.until('end')).map(({ topic }) => topic)).to.deep.equal(['news'])
  })

  it('what was withheld is not sent later either', async () => {
    const { connect } = await startBroker({ mayRead: (_client, { topic }) => topic !== 'secret' })
    const first = await connect(SESSION)
    await first.subscribe([
      { topic: 'news', qos: 1, nl: true },
      { topic: 'secret', qos: 1 },
      { topic: 'end', qos: 1 },
    ])
    first.publish({ topic: 'news', qos: 1, payload: 'mine' })
    first.publish({ topic: 'secret', qos: 1 })
    await first.request({ cmd: 'pingreq' }, 'pingresp')
    first.stream.destroy()

    const second = await connect(SESSION)
    const publisher = await connect()
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await second.until('end')).to.deep.equal([])
  })

  it('nothing is sent before CONNACK to a session that is restored', async () => {
    const { aedes, connect } = await startBroker()
    const first = await connect(SESSION)
    await first.subscribe([{ topic: '#', qos: 0 }])
    first.stream.destroy()
    // The moment between the restored subscriptions and CONNACK.
    aedes.on('client', () => {
      aedes.publish({ ...PACKET, topic: 'early' }, () => {})
    })
    const second = await connect(SESSION)
    const publisher = await connect()
    publisher.publish({ topic: 'end' })
    const messages = await second.until('end')
    // The second one is of the publisher's own connection.
    expect(messages.map(({ topic }) => topic)).to.deep.equal(['early'])
  })
})

describe('a reader that does not read', () => {
  const CHUNK = Buffer.alloc(16 * 1024)

  it('is cut at the bound, and delays nobody', async () => {
    const { aedes, connect } = await startBroker({ maxQueuedBytes: 1024 * 1024 })
    const errors: unknown[] = []
    aedes.on('clientError', (_client, error) => errors.push(error))
    const [stuck, reader, publisher] = await Promise.all([
      connect({ version: 5 }),
      connect(),
      connect(),
    ])
    await stuck.subscribe([{ topic: '#' }])
    await reader.subscribe([{ topic: '#' }])
    let reasonCode: number | null | undefined
    const gone = new Promise<void>((resolve) => {
      aedes.on('clientDisconnect', (client) => {
        reasonCode = client.disconnectReasonCode
        resolve()
      })
    })
    stuck.stream.pause()

    let isCut = false
    void gone.then(() => (isCut = true))
    let worstMs = 0
    for (let i = 0; !isCut; i++) {
      const sentAt = performance.now()
      publisher.publish({ topic: `n/${i}`, payload: CHUNK })
      await reader.until(`n/${i}`)
      worstMs = Math.max(worstMs, performance.now() - sentAt)
      reader.messages.length = 0
    }
    await gone
    expect(errors.filter((error) => error instanceof SlowReaderError)).to.have.length(1)
    expect(reasonCode).to.equal(0x97)
    expect(worstMs).to.be.lessThan(1000)
  })

  it('may stay when the owner says so, without what it could not take', async () => {
    const slow: number[] = []
    const onSlowReader = (_client: unknown, queuedBytes: number): void =>
      void slow.push(queuedBytes)
    const { aedes, connect } = await startBroker({ maxQueuedBytes: 256 * 1024, onSlowReader })
    const [stuck, publisher] = await Promise.all([connect({ clientId: 'stuck' }), connect()])
    await stuck.subscribe([{ topic: '#' }])
    stuck.stream.pause()
    while (slow.length < 100) {
      publisher.publish({ topic: 'n', payload: CHUNK })
      await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    }
    const { conn } = clientOf(aedes, 'stuck')
    expect(conn.writableLength).to.be.lessThan(512 * 1024)
    stuck.stream.resume()
    await once(conn, 'drain')
    publisher.publish({ topic: 'end' })
    await stuck.until('end')
  })

  it('holds its publishers back a little when much is waiting for it', async () => {
    const { aedes, connect } = await startBroker()
    const stuck = await connect({ clientId: 'stuck' })
    await stuck.subscribe([{ topic: 'n' }])
    stuck.stream.pause()
    const { conn } = clientOf(aedes, 'stuck')
    /** Whether a publisher on a topic is called back before the event loop has gone round. */
    const isAtOnce = async (topic: string): Promise<boolean> => {
      let isCalled = false
      const called = new Promise<void>((resolve) => {
        aedes.publish({ ...PACKET, topic, payload: CHUNK }, () => {
          isCalled = true
          resolve()
        })
      })
      await new Promise((resolve) => setImmediate(resolve))
      const isSoon = isCalled
      await called
      return isSoon
    }
    expect(await isAtOnce('n')).to.equal(true)
    while (conn.writableLength < 2 * 1024 * 1024) await isAtOnce('n')
    expect(await isAtOnce('n')).to.equal(false)
    expect(await isAtOnce('of nobody')).to.equal(true)
  })

  it('is not cut for one burst that it can take', async () => {
    const { connect } = await startBroker()
    const [reader, publisher] = await Promise.all([connect(), connect()])
    await reader.subscribe([{ topic: '#' }])
    const count = (64 * 1024 * 1024) / CHUNK.length
    for (let i = 0; i < count; i++) publisher.publish({ topic: 'n', payload: CHUNK })
    publisher.publish({ topic: 'end' })
    expect((await reader.until('end')).length).to.equal(count)
  })
})

describe('the emitter', () => {
  const packet = { ...PACKET, topic: 'news' } as EmittedPacket

  it('refuses what is emitted after it was closed', async () => {
    const fanout = createFanoutEmitter()
    await new Promise<void>((done) => void fanout.close(done))
    const error = await new Promise<Error | undefined>((done) => void fanout.emit(packet, done))
    expect(error?.message).to.equal('the fan-out is closed')
  })

  it('lets a publisher wait for its own messages only', async () => {
    const fanout = createFanoutEmitter({ deliveriesPerTurn: 3 })
    const order: (string | undefined)[] = []
    fanout.on('news', ({ clientId }) => void order.push(clientId))
    for (let i = 0; i < 100; i++) fanout.emit({ ...packet, clientId: 'busy' })
    await new Promise<void>(
      (done) => void fanout.emit({ ...packet, clientId: 'quiet' }, () => done()),
    )
    expect(order).to.include('quiet')
    expect(order.indexOf('quiet')).to.be.lessThan(10)
  })

  it('forgets a listener at once', () => {
    const fanout = createFanoutEmitter()
    let heard = 0
    const listener = (): void => void heard++
    fanout.on('news', listener).emit(packet)
    fanout.removeListener('news', listener).emit(packet)
    expect(heard).to.equal(1)
  })

  it('calls the publisher back in a later turn, in which Aedes parses nothing', async () => {
    const fanout = createFanoutEmitter()
    let isCalled = false
    const called = new Promise<void>((resolve) => {
      fanout.emit(packet, () => {
        isCalled = true
        resolve()
      })
    })
    expect(isCalled).to.equal(false)
    await called
  })
})
