import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { Writable } from 'node:stream'

import { Aedes, type AedesPublishPacket, type Client } from 'aedes'
import { expect } from 'chai'
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'

import { MemoryPersistence } from '../../broker/persistence/memory-persistence.ts'
import { ownPayload } from '../../broker/persistence/own-payload.ts'
import { settle } from '../../broker/persistence/settled.ts'

const teardowns: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const teardown of teardowns.splice(0).toReversed()) await teardown()
})

describe('settle', () => {
  it('calls back in the same tick', () => {
    const seen: string[] = []
    void settle(() => 'value').then((value) => seen.push(value))
    void settle(() => fail('broken')).then(undefined, (error: Error) => seen.push(error.message))
    void settle(() => 'value').finally(() => seen.push('finally'))
    expect(seen).to.deep.equal(['value', 'broken', 'finally'])
  })

  it('can be awaited, chained and caught like a promise', async () => {
    expect(await settle(() => 1)).to.equal(1)
    expect(await settle(() => 1).then((value) => Promise.resolve(value + 1))).to.equal(2)
    expect(await settle(() => 1).finally(() => 3)).to.equal(1)
    expect(await settle(() => fail('broken')).catch((error: Error) => error.message)).to.equal(
      'broken',
    )
    const rejected = settle(() => fail('first')).finally(() => 'ignored')
    expect(await rejected.catch((error: Error) => error.message)).to.equal('first')
  })

  it('rejects when a callback throws', async () => {
    const thrown = settle(() => 1).then(() => fail('in the callback'))
    expect(await thrown.catch((error: Error) => error.message)).to.equal('in the callback')
  })
})

describe('ownPayload', () => {
  it('copies a small slice of a large buffer, and leaves other payloads as they are', () => {
    const read = Buffer.alloc(65_536, 'x')
    const slice = read.subarray(100, 200)
    expect(ownPayload(slice)).to.deep.equal(slice)
    expect((ownPayload(slice) as Buffer).buffer).not.to.equal(read.buffer)
    expect(ownPayload(read)).to.equal(read)
    expect(ownPayload('text')).to.equal('text')
    const pooled = Buffer.from('pooled')
    expect(ownPayload(pooled)).to.equal(pooled)
  })
})

describe('MemoryPersistence', () => {
  it('calls back in the same tick from everything that Aedes waits for', () => {
    const store = new MemoryPersistence()
    const client = { id: 'a', clean: false }
    const seen: number[] = []
    const operations = [
      store.storeRetained(message('t', 'x')),
      store.addSubscriptions(client, [{ topic: 't', qos: 1 }]),
      store.subscriptionsByTopic('t'),
      store.subscriptionsByClient(client),
      store.outgoingEnqueueCombi([{ clientId: 'a', qos: 1 }], message('t', 'x')),
      store.outgoingUpdate(client, message('t', 'x')),
      store.outgoingClearMessageId(client, { messageId: 1 }),
      store.incomingStorePacket(client, { messageId: 1 }),
      store.incomingGetPacket(client, { messageId: 1 }),
      store.incomingDelPacket(client, { messageId: 1 }),
      store.removeSubscriptions(client, ['t']),
      store.cleanSubscriptions(client),
      store.putWill(client, will('w')),
      store.getWill(client),
      store.delWill(client),
    ]
    operations.forEach((operation, i) => void operation.then(() => seen.push(i)))
    expect(seen).to.deep.equal(operations.map((_, i) => i))
  })

  describe('retained messages', () => {
    it('are replaced by the next one and removed by an empty one', async () => {
      const store = new MemoryPersistence()
      await store.storeRetained(message('a', '1'))
      await store.storeRetained(message('a', '2'))
      await store.storeRetained(message('b', '1'))
      expect(await payloads(store, '#')).to.deep.equal(['2', '1'])
      await store.storeRetained(message('a', ''))
      expect(await payloads(store, '#')).to.deep.equal(['1'])
      expect(store.retainedCount).to.equal(1)
    })

    it('come once for each of several overlapping filters', async () => {
      const store = new MemoryPersistence()
      await store.storeRetained(message('a/b', '1'))
      expect(await payloads(store, 'a/#', '+/b', 'a')).to.deep.equal(['1', '1'])
    })

    it('are read when their turn comes: one that is replaced meanwhile is the new one', async () => {
      const store = new MemoryPersistence()
      for (let i = 0; i < 40; i++) await store.storeRetained(message(`a/${i}`, 'old'))
      const read: unknown[] = []
      const reader = new Writable({
        objectMode: true,
        write({ payload }: AedesPublishPacket, _encoding, done) {
          read.push(String(payload))
          if (read.length === 1) {
            void store.storeRetained(message('a/1', 'new'))
            void store.storeRetained(message('a/2', ''))
          }
          setImmediate(done)
        },
      })
      await once(store.createRetainedStream('a/+').pipe(reader), 'finish')
      expect(read.slice(0, 3)).to.deep.equal(['old', 'new', 'old'])
      expect(read).to.have.length(39)
    })

    it('do not hold the packet that brought them', async () => {
      const store = new MemoryPersistence()
      const packet = message('a', '1')
      await store.storeRetained(packet)
      packet.topic = 'changed'
      expect(await payloads(store, 'a')).to.deep.equal(['1'])
    })
  })

  describe('sessions', () => {
    const client = { id: '__proto__', clean: false }

    it('take any client id and filter', async () => {
      const store = new MemoryPersistence()
      await store.addSubscriptions(client, [{ topic: 'constructor/+', qos: 1 }])
      const [found] = await store.subscriptionsByTopic('constructor/__proto__')
      expect(found?.clientId).to.equal('__proto__')
      await store.cleanSubscriptions(client)
      expect(await store.subscriptionsByTopic('constructor/__proto__')).to.deep.equal([])
      expect(await store.countOffline()).to.deep.equal({ subsCount: 0, clientsCount: 0 })
    })

    it('match empty levels as live subscriptions do', async () => {
      const store = new MemoryPersistence()
      await store.addSubscriptions(client, [{ topic: 'a/+', qos: 1 }])
      expect(await store.subscriptionsByTopic('a/')).to.have.length(1)
    })

    it('do not keep a filter that was refused', async () => {
      const store = new MemoryPersistence()
      const refused = { topic: 'secret', qos: 0x80 as 2 }
      await store.addSubscriptions(client, [refused, { topic: 'granted', qos: 1 }])
      const stored = await store.subscriptionsByClient(client)
      expect(stored.map(({ topic }) => topic)).to.deep.equal(['granted'])
    })

    it('are owed a message once, at the highest QoS of their overlapping subscriptions', async () => {
      const store = new MemoryPersistence()
      const subscriptions = [
        { clientId: client.id, qos: 0 as const },
        { clientId: client.id, qos: 1 as const },
      ]
      await store.outgoingEnqueueCombi(subscriptions, { ...message('a', '1'), qos: 2 })
      const queued = await store.outgoingStream(client).toArray()
      expect(queued.map(({ qos }) => qos)).to.deep.equal([1])
    })

    it('keep apart two QoS 2 deliveries whose PUBRELs are both on the way', async () => {
      const store = new MemoryPersistence()
      for (const messageId of [1, 2]) {
        const packet = {
          ...message('a', '1'),
          qos: 2 as const,
          brokerCounter: messageId,
          messageId,
        }
        await store.outgoingEnqueue({ clientId: client.id }, packet)
        await store.outgoingUpdate(client, packet)
      }
      await store.outgoingUpdate(client, { cmd: 'pubrel', messageId: 1 })
      await store.outgoingUpdate(client, { cmd: 'pubrel', messageId: 2 })
      await store.outgoingClearMessageId(client, { messageId: 1 })
      expect(await store.outgoingStream(client).toArray()).to.deep.equal([
        { cmd: 'pubrel', messageId: 2 },
      ])
    })

    it('repeat what was sent and not acknowledged with DUP, and leave out what is acknowledged', async () => {
      const store = new MemoryPersistence()
      for (const messageId of [1, 2, 3]) {
        const packet = {
          ...message('a', String(messageId)),
          qos: 1 as const,
          brokerCounter: messageId,
        }
        await store.outgoingEnqueue({ clientId: client.id }, packet)
        if (messageId < 3) await store.outgoingUpdate(client, { ...packet, messageId })
      }
      await store.outgoingClearMessageId(client, { messageId: 1 })
      const queued = await store.outgoingStream(client).toArray()
      expect(queued.map(({ payload, dup }) => [String(payload), dup])).to.deep.equal([
        ['2', true],
        ['3', false],
      ])
    })

    it('withdraw a message that was never sent without touching another', async () => {
      const store = new MemoryPersistence()
      const packets = [1, 2].map((brokerCounter) => ({
        ...message('a', '1'),
        qos: 1 as const,
        brokerCounter,
      }))
      for (const packet of packets) await store.outgoingEnqueue({ clientId: client.id }, packet)
      const { brokerId, brokerCounter } = packets[1] as AedesPublishPacket
      await store.outgoingClearMessageId(client, { brokerId, brokerCounter })
      const queued = await store.outgoingStream(client).toArray()
      expect(queued.map((packet) => packet.brokerCounter)).to.deep.equal([1])
    })

    it('forget what waits when they end', async () => {
      const store = new MemoryPersistence()
      await store.outgoingEnqueue({ clientId: client.id }, { ...message('a', '1'), qos: 1 })
      await store.cleanSubscriptions(client)
      expect(await store.outgoingStream(client).toArray()).to.deep.equal([])
    })

    it('remember open QoS 2 ids as long as the session, a clean one as long as its connection', async () => {
      const store = new MemoryPersistence()
      const connection = { id: 'b', clean: true }
      await store.incomingStorePacket(client, { messageId: 1 })
      await store.incomingStorePacket(connection, { messageId: 1 })
      expect(await isOpen(store, { ...client })).to.equal(true)
      expect(await isOpen(store, connection)).to.equal(true)
      expect(await isOpen(store, { ...connection })).to.equal(false)
      await store.cleanSubscriptions(client)
      expect(await isOpen(store, client)).to.equal(false)
    })
  })

  describe('wills', () => {
    it('of live clients are not taken for orphans by a broker that slept', async () => {
      const store = new MemoryPersistence()
      await store.setup({ id: 'sleeper' })
      await store.putWill({ id: 'a', closed: false }, will('w'))
      expect(await store.streamWill({}).toArray()).to.deep.equal([])
    })
  })
})

describe('Aedes on MemoryPersistence', () => {
  it('delivers a retained message and the plain one right after it in order, 200 times', async () => {
    const broker = await startBroker()
    const reader = await broker.connect()
    await reader.client.subscribeAsync('order/#')
    const writer = await broker.connect()
    const sent: string[] = []
    for (let i = 0; i < 200; i++) {
      sent.push(`retained ${i}`, `plain ${i}`)
      writer.client.publish('order/retained', `retained ${i}`, { retain: true })
      writer.client.publish('order/plain', `plain ${i}`)
    }
    expect(await reader.take(400)).to.deep.equal(sent)
  })

  it('delivers QoS 1 messages in order, retained or not', async () => {
    const broker = await startBroker()
    const reader = await broker.connect({ clientId: 'reader', clean: false })
    await reader.client.subscribeAsync('order/#', { qos: 1 })
    const writer = await broker.connect()
    const sent = Array.from({ length: 100 }, (_, i) => String(i))
    for (const each of sent) {
      writer.client.publish('order/x', each, { qos: 1, retain: Number(each) % 2 === 0 })
    }
    expect(await reader.take(100)).to.deep.equal(sent)
  })

  it('delivers what was queued at QoS 1 when the client of a persistent session is back', async () => {
    const broker = await startBroker()
    const session = { clientId: 'phone', clean: false }
    const before = await broker.connect(session)
    await before.client.subscribeAsync('news/#', { qos: 1 })
    await before.client.endAsync()
    const writer = await broker.connect()
    await writer.client.publishAsync('news/1', 'one', { qos: 1, retain: true })
    await writer.client.publishAsync('news/2', 'two', { qos: 2 })
    await writer.client.publishAsync('news/3', 'QoS 0 is not queued')
    const after = await broker.connect(session)
    expect(await after.take(2)).to.deep.equal(['one', 'two'])
    expect(after.packets.map(({ qos, retain }) => [qos, retain])).to.deep.equal([
      [1, false],
      [1, false],
    ])
    await after.client.publishAsync('news/4', 'marker', { qos: 1 })
    expect(await after.take(1)).to.deep.equal(['marker'])
  })

  it('drops what was queued when the client starts a clean session', async () => {
    const broker = await startBroker()
    const before = await broker.connect({ clientId: 'phone', clean: false })
    await before.client.subscribeAsync('news/#', { qos: 1 })
    await before.client.endAsync()
    const writer = await broker.connect()
    for (let i = 0; i < 50; i++) await writer.client.publishAsync('news/x', 'old', { qos: 1 })
    const clean = await broker.connect({ clientId: 'phone', clean: true })
    await clean.client.endAsync()
    const after = await broker.connect({ clientId: 'phone', clean: false })
    await after.client.subscribeAsync('news/#', { qos: 1 })
    await after.client.publishAsync('news/x', 'marker', { qos: 1 })
    expect(await after.take(1)).to.deep.equal(['marker'])
  })

  it('completes the delivery of a retained QoS 2 message to a persistent session', async () => {
    const broker = await startBroker()
    const writer = await broker.connect()
    await writer.client.publishAsync('a', 'retained', { qos: 2, retain: true })
    const reader = await broker.connect({ clientId: 'reader', clean: false })
    reader.client.on('close', () => reader.deliver('closed'))
    await reader.client.subscribeAsync('a', { qos: 2 })
    await reader.client.publishAsync('a', 'marker', { qos: 2 })
    expect(await reader.take(2)).to.deep.equal(['retained', 'marker'])
  })

  it('answers a subscription with retained messages on topics with empty levels', async () => {
    const broker = await startBroker()
    const client = await broker.connect()
    await client.client.publishAsync('a/', 'empty', { qos: 1, retain: true })
    await client.client.subscribeAsync('a/+')
    expect(await client.take(1)).to.deep.equal(['empty'])
  })

  it('gives a retained message with its remaining lifetime, and never one that has expired', async () => {
    const broker = await startBroker()
    const client = await broker.connect({ protocolVersion: 5 })
    await client.client.publishAsync('a/lasting', 'lasting', {
      qos: 1,
      retain: true,
      properties: { messageExpiryInterval: 1000 },
    })
    await broker.store.storeRetained({
      ...message('a/expired', 'expired'),
      messageExpiry: Date.now() - 1,
    })
    await client.client.subscribeAsync('a/#')
    await client.client.publishAsync('a/marker', 'marker')
    expect((await client.take(2)).toSorted()).to.deep.equal(['lasting', 'marker'])
    const lasting = client.packets.find(({ topic }) => topic === 'a/lasting')
    expect(lasting?.properties?.messageExpiryInterval).to.be.within(1, 1000)
    expect(broker.store.retainedCount).to.equal(1)
  })

  it('keeps the will of the connection that took over, and publishes it when that one dies', async () => {
    const broker = await startBroker()
    const reader = await broker.connect()
    await reader.client.subscribeAsync('wills/#')
    const options = { clientId: 'phone', reconnectPeriod: 0 }
    await broker.connect({ ...options, will: mqttWill('first') })
    const second = await broker.connect({ ...options, will: mqttWill('second') })
    expect(await reader.take(1)).to.deep.equal(['first'])
    await turn()
    const stored = await broker.store.getWill({ id: 'phone' })
    expect(String(stored?.payload)).to.equal('second')
    second.client.stream.destroy()
    expect(await reader.take(1)).to.deep.equal(['second'])
    await turn()
    expect(await broker.store.getWill({ id: 'phone' })).to.equal(undefined)
  })

  it('forgets the will of a client that says goodbye', async () => {
    const broker = await startBroker()
    const client = await broker.connect({ clientId: 'phone', will: mqttWill('unsaid') })
    const gone = once(broker.aedes, 'clientDisconnect')
    await client.client.endAsync()
    await gone
    expect(await broker.store.getWill({ id: 'phone' })).to.equal(undefined)
  })
})

interface Inbox {
  readonly client: MqttClient
  readonly packets: IPublishPacket[]
  deliver(payload: string): void
  /** The next payloads, as soon as there are so many. */
  take(count: number): Promise<string[]>
}

interface Broker {
  readonly aedes: Aedes
  readonly store: MemoryPersistence
  connect(options?: IClientOptions): Promise<Inbox>
}

async function startBroker(): Promise<Broker> {
  const store = new MemoryPersistence()
  const aedes = await Aedes.createBroker({
    persistence: store,
    preConnect(client, _packet, callback) {
      neverDuplicate(client)
      callback(null, true)
    },
  })
  const server = createServer({ noDelay: true }, (socket) => void aedes.handle(socket)).listen(0)
  await once(server, 'listening')
  teardowns.push(async () => {
    await new Promise<void>((resolve) => aedes.close(resolve))
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    aedes,
    store,
    async connect(options = {}) {
      const client = await connectAsync(`mqtt://127.0.0.1:${port}`, options)
      teardowns.push(() => client.endAsync(true))
      return inboxOf(client)
    },
  }
}

/** As our broker does: Aedes' own guard against duplicates drops what comes in another order. */
function neverDuplicate(client: Client): void {
  Object.assign(client, { duplicates: new Proxy({}, { get: () => 0, set: () => true }) })
}

function inboxOf(client: MqttClient): Inbox {
  const packets: IPublishPacket[] = []
  const waiting: string[] = []
  let arrived: () => void = () => {}
  const deliver = (payload: string): void => {
    waiting.push(payload)
    arrived()
  }
  client.on('message', (_topic, payload, packet) => {
    packets.push(packet)
    deliver(String(payload))
  })
  return {
    client,
    packets,
    deliver,
    async take(count) {
      while (waiting.length < count) await new Promise<void>((resolve) => (arrived = resolve))
      return waiting.splice(0, count)
    },
  }
}

function message(topic: string, payload: string): AedesPublishPacket {
  return {
    cmd: 'publish',
    topic,
    payload: Buffer.from(payload),
    qos: 0,
    retain: false,
    dup: false,
    brokerId: 'broker',
    brokerCounter: 1,
  }
}

function will(payload: string): { topic: string; payload: Buffer } {
  return { topic: 'wills/x', payload: Buffer.from(payload) }
}

function mqttWill(payload: string): NonNullable<IClientOptions['will']> {
  return { ...will(payload), qos: 0, retain: false }
}

async function payloads(store: MemoryPersistence, ...filters: string[]): Promise<string[]> {
  const messages = await store.createRetainedStreamCombi(filters).toArray()
  return messages.map(({ payload }) => String(payload))
}

function isOpen(
  store: MemoryPersistence,
  client: { id: string; clean: boolean },
): Promise<boolean> {
  return store.incomingGetPacket(client, { messageId: 1 }).then(
    () => true,
    () => false,
  )
}

/** Aedes removes a will from the store in the turn after its delivery. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function fail(text: string): never {
  throw new Error(text)
}
