import { expect } from 'chai'
import type { PeerOptions } from '../helpers/mqtt-peer.ts'
import { startTcpBroker } from '../helpers/tcp-broker.ts'

const PERSISTENT = { clientId: 'sleeper', clean: false } as const satisfies PeerOptions
const PERSISTENT_5 = {
  ...PERSISTENT,
  version: 5,
  properties: { sessionExpiryInterval: 60 },
} as const satisfies PeerOptions

describe('session present', () => {
  for (const [version, options] of [
    ['3.1.1', PERSISTENT],
    ['5', PERSISTENT_5],
  ] as const) {
    it(`is set when a session is resumed, with subscriptions or without: ${version}`, async () => {
      const { connect, untilConnections } = await startTcpBroker()
      const first = await connect(options)
      first.stream.destroy()
      await untilConnections(0)
      const second = await connect(options)
      await second.subscribe([{ topic: 'news', qos: 1 }])
      second.stream.destroy()
      await untilConnections(0)
      const third = await connect(options)
      const present = [first, second, third].map(({ connack }) => connack.sessionPresent)
      expect(present).to.deep.equal([false, true, true])
    })

    it(`is not set after a clean start, which forgets the session: ${version}`, async () => {
      const { connect, untilConnections } = await startTcpBroker()
      const first = await connect(options)
      await first.subscribe([{ topic: 'news', qos: 1 }])
      first.stream.destroy()
      await untilConnections(0)
      const clean = await connect({ clientId: options.clientId, clean: true })
      expect(clean.connack.sessionPresent).to.equal(false)
      clean.stream.destroy()
      await untilConnections(0)
      const next = await connect(options)
      expect(next.connack.sessionPresent).to.equal(false)
      next.publish({ topic: 'news', qos: 1 })
      await next.subscribe([{ topic: 'end' }])
      next.publish({ topic: 'end' })
      expect(await next.until('end')).to.deep.equal([])
    })
  }

  it('is not set with a session that ended with its connection', async () => {
    const { connect, untilConnections } = await startTcpBroker()
    const first = await connect({ clientId: 'a', clean: true })
    first.stream.destroy()
    await untilConnections(0)
    const second = await connect({ clientId: 'a', clean: false })
    expect(second.connack.sessionPresent).to.equal(false)
  })

  it('is set when a live connection with a session is taken over', async () => {
    const { connect } = await startTcpBroker()
    const first = await connect(PERSISTENT)
    const second = await connect(PERSISTENT)
    expect(second.connack.sessionPresent).to.equal(true)
    await first.closed
  })

  it('is not set when a live clean connection is taken over', async () => {
    const { connect } = await startTcpBroker()
    const first = await connect({ clientId: 'a', version: 5 })
    await first.subscribe([{ topic: 'news' }])
    const second = await connect({ clientId: 'a', version: 5, clean: false })
    expect(second.connack.sessionPresent).to.equal(false)
  })
})

describe('a persistent session', () => {
  for (const qos of [1, 2] as const) {
    it(`gets what was not acknowledged again, with DUP and the same id: QoS ${qos}`, async () => {
      const { connect, untilConnections } = await startTcpBroker()
      const first = await connect(PERSISTENT)
      await first.subscribe([{ topic: '+', qos: 2 }])
      const publisher = await connect()
      publisher.publish({ topic: 'seen', qos })
      await first.until('seen')
      first.stream.destroy()
      await untilConnections(1)
      publisher.publish({ topic: 'missed', qos })
      publisher.publish({ topic: 'end', qos })
      const second = await connect(PERSISTENT)
      const [seen, missed] = await second.until('end')
      expect([seen?.dup, missed?.dup]).to.deep.equal([true, false])
      expect(seen?.messageId).to.equal(
        first.messages.find(({ topic }) => topic === 'seen')?.messageId,
      )
    })
  }

  it('gets PUBREL again and not the message, once PUBREC has come', async () => {
    const { connect, untilConnections } = await startTcpBroker()
    const first = await connect(PERSISTENT)
    await first.subscribe([{ topic: 'news', qos: 2 }])
    const publisher = await connect()
    publisher.publish({ topic: 'news', qos: 2 })
    await first.until('news')
    const messageId = first.messages[0]?.messageId ?? 0
    await first.request({ cmd: 'pubrec', messageId }, 'pubrel')
    first.stream.destroy()
    await untilConnections(1)
    const second = await connect(PERSISTENT)
    await second.request({ cmd: 'pingreq' }, 'pingresp')
    const kinds = second.packets.map(({ cmd, messageId: id }) => [cmd, id])
    expect(kinds).to.deep.include(['pubrel', messageId])
    expect(second.messages).to.deep.equal([])
    second.send({ cmd: 'pubcomp', messageId })
    await second.request({ cmd: 'pingreq' }, 'pingresp')
    second.stream.destroy()
    await untilConnections(1)
    const third = await connect(PERSISTENT)
    await third.request({ cmd: 'pingreq' }, 'pingresp')
    expect(third.packets.map(({ cmd }) => cmd)).to.deep.equal(['connack', 'pingresp'])
  })

  it('gets a retained message again that it has not acknowledged', async () => {
    const { connect, untilConnections } = await startTcpBroker()
    const publisher = await connect()
    publisher.publish({ topic: 'kept', retain: true, qos: 1, payload: 'x' })
    const first = await connect(PERSISTENT)
    await first.subscribe([{ topic: 'kept', qos: 1 }])
    await first.until('kept')
    first.stream.destroy()
    await untilConnections(1)
    const second = await connect(PERSISTENT)
    await second.until('kept')
    expect(second.messages[0]).to.include({ dup: true, retain: true })
  })

  it('gets what came meanwhile before what comes now', async () => {
    const { connect, untilConnections } = await startTcpBroker({
      limits: { maxMessagesPerSecond: 10_000, maxSessionQueue: 5000 },
    })
    const first = await connect(PERSISTENT)
    await first.subscribe([{ topic: 'n', qos: 1 }])
    first.stream.destroy()
    await untilConnections(0)
    const publisher = await connect()
    for (let i = 0; i < 900; i++) publisher.publish({ topic: 'n', qos: 1, payload: String(i) })
    await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    const connecting = connect(PERSISTENT)
    for (let i = 900; i < 3000; i++) publisher.publish({ topic: 'n', qos: 1, payload: String(i) })
    const second = await connecting
    second.acknowledge()
    await second.first(3000)
    const order = second.messages.map(({ payload }) => Number(payload))
    expect(order).to.deep.equal([...Array(3000).keys()])
  })

  it('keeps so many messages, of which the oldest goes first', async () => {
    const { broker, connect, untilConnections } = await startTcpBroker({
      limits: { maxSessionQueue: 10 },
    })
    const first = await connect(PERSISTENT)
    await first.subscribe([{ topic: 'n', qos: 1 }])
    first.stream.destroy()
    await untilConnections(0)
    const publisher = await connect()
    for (let i = 0; i < 15; i++) publisher.publish({ topic: 'n', qos: 1, payload: String(i) })
    await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    const second = await connect(PERSISTENT)
    await second.first(10)
    expect(second.messages.map(({ payload }) => Number(payload))).to.deep.equal(
      [...Array(10).keys()].map((i) => i + 5),
    )
    expect(broker.metrics()['droppedFromSessions']).to.equal(5)
  })

  it('loses nothing to that bound while its client is there, however large the burst', async () => {
    const { broker, connect } = await startTcpBroker({
      limits: { maxSessionQueue: 10, maxMessagesPerSecond: 10_000 },
    })
    const reader = await connect(PERSISTENT)
    await reader.subscribe([{ topic: 'n', qos: 2 }])
    const publisher = await connect()
    publisher.stream.cork()
    for (let i = 0; i < 3000; i++) publisher.publish({ topic: 'n', qos: 1, payload: String(i) })
    publisher.stream.uncork()
    await reader.first(3000)
    expect(broker.metrics()['stalls']).to.equal(0)
  })

  it('is not kept when there are too many, and counted', async () => {
    const { broker, connect, untilConnections } = await startTcpBroker({
      limits: { maxSessions: 2 },
    })
    for (const clientId of ['a', 'b', 'c']) {
      const peer = await connect({ clientId, clean: false })
      await peer.subscribe([{ topic: 'n', qos: 1 }])
      peer.send({ cmd: 'disconnect' })
      await peer.closed
      await untilConnections(0)
    }
    const present = []
    for (const clientId of ['a', 'b', 'c']) {
      const { connack } = await connect({ clientId, clean: false })
      present.push(connack.sessionPresent)
    }
    expect(present).to.deep.equal([true, true, false])
    expect(broker.metrics()['droppedSessions']).to.equal(1)
  })
})

describe('message ids', () => {
  it('begin with 1 for each connection, and go on behind those that are in flight', async () => {
    const { connect, untilConnections } = await startTcpBroker()
    const options = { clientId: 'sleeper', clean: false } as const
    const publisher = await connect()
    const first = await connect(options)
    await first.subscribe([{ topic: 'n', qos: 1 }])
    for (let i = 0; i < 2; i++) publisher.publish({ topic: 'n', qos: 1 })
    await first.first(2)
    first.stream.destroy()
    await untilConnections(1)
    const second = await connect(options)
    publisher.publish({ topic: 'n', qos: 1 })
    await second.first(3)
    for (const [peer, ids] of [
      [first, [1, 2]],
      [second, [1, 2, 3]],
    ] as const) {
      expect(peer.messages.map(({ messageId }) => messageId)).to.deep.equal(ids)
    }
  })

  it('are not used again for a session whose queue has lost a message that was in flight', async () => {
    const { connect, untilConnections } = await startTcpBroker({ limits: { maxSessionQueue: 1 } })
    const options = { clientId: 'sleeper', clean: false } as const
    const publisher = await connect()
    const first = await connect(options)
    await first.subscribe([{ topic: 'n', qos: 2 }])
    publisher.publish({ topic: 'n', qos: 2, payload: 'taken, and its PUBREC is lost' })
    await first.first(1)
    first.stream.destroy()
    await untilConnections(1)
    for (const payload of ['dropped', 'kept']) publisher.publish({ topic: 'n', qos: 2, payload })
    await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    const second = await connect(options)
    const [message] = await second.first(1)
    expect([message?.payload.toString(), message?.messageId]).to.deep.equal(['kept', 2])
  })

  it('are not used again while they are in flight; when all are, messages wait', async function () {
    this.timeout(60_000)
    const { connect } = await startTcpBroker({ limits: { maxMessagesPerSecond: 100_000 } })
    const reader = await connect()
    await reader.subscribe([{ topic: 'n', qos: 1 }])
    const publisher = await connect()
    for (let i = 0; i < 65_540; i++) {
      publisher.publish({ topic: 'n', qos: 1, messageId: 1 + (i % 1000) })
    }
    await reader.first(65_535)
    await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    await reader.request({ cmd: 'pingreq' }, 'pingresp')
    expect(new Set(reader.messages.map(({ messageId }) => messageId)).size).to.equal(65_535)
    expect(reader.messages).to.have.length(65_535)
    const freed = reader.messages[1000]?.messageId ?? 0
    reader.send({ cmd: 'puback', messageId: freed })
    await reader.first(65_536)
    expect(reader.messages.at(-1)?.messageId).to.equal(freed)
  })
})

describe('client ids named like members of Object', () => {
  for (const clientId of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    it(`are ids like any other: ${clientId}`, async () => {
      const { connect, untilConnections } = await startTcpBroker()
      const first = await connect({ clientId, clean: false })
      await first.subscribe([{ topic: 'news', qos: 1 }])
      const second = await connect({ clientId, clean: false })
      expect(second.connack.sessionPresent).to.equal(true)
      await first.closed
      second.publish({ topic: 'news', qos: 1 })
      await second.until('news')
      second.stream.destroy()
      await untilConnections(0)
      const third = await connect({ clientId, clean: true })
      expect(third.connack.sessionPresent).to.equal(false)
    })
  }
})
