import { expect } from 'chai'
import { createAuthenticator } from '../../broker/auth/authenticator.ts'
import { settled, V5, type MqttPeer, type PeerOptions } from '../helpers/mqtt-peer.ts'
import { startTcpBroker } from '../helpers/tcp-broker.ts'
import { connectOf, packet, props, text, u16, u32 } from './gate/bytes.ts'
import { openHouseForTest } from './gate/stranger.ts'

describe('an acknowledgement of the wrong kind', () => {
  type Answer = 'puback' | 'pubrec' | 'pubcomp'

  /** A reader that has been sent one message, and the id of that. */
  async function openReader(options: PeerOptions, qos: 1 | 2) {
    const { broker, connect } = await startTcpBroker()
    const reader = await connect(options)
    await reader.subscribe([{ topic: 'n', qos }])
    const publisher = await connect()
    publisher.publish({ topic: 'n', qos })
    const [message] = await reader.first(1)
    const { messageId = 0 } = message ?? {}
    const answer = (cmd: Answer): void => reader.send({ cmd, messageId })
    return { broker, reader, answer }
  }

  const wrong: readonly (readonly [1 | 2, readonly Answer[]])[] = [
    [1, ['pubrec']],
    [1, ['pubcomp']],
    [2, ['puback']],
    [2, ['pubcomp']],
    [2, ['pubrec', 'puback']],
  ]
  for (const [qos, answers] of wrong) {
    it(`closes the connection: ${answers.join(', then ')} for QoS ${qos}`, async () => {
      for (const version of [4, 5] as const) {
        const { broker, reader, answer } = await openReader({ version }, qos)
        for (const cmd of answers) answer(cmd)
        expect(await reader.closed).to.equal(version === 5 ? 0x82 : undefined)
        expect(broker.metrics()['refused_acknowledgement']).to.equal(1)
      }
    })
  }

  it('is not PUBREC again, nor one that came twice', async () => {
    const { reader, answer } = await openReader(V5, 2)
    for (const cmd of ['pubrec', 'pubrec', 'pubcomp', 'pubcomp'] as const) answer(cmd)
    await settled(reader)
    expect(reader.packets.filter(({ cmd }) => cmd === 'pubrel')).to.have.length(2)
  })
})

describe('an answer', () => {
  it('to one filter twice is both codes, and the last one counts', async () => {
    const { connect } = await startTcpBroker()
    const reader = await connect(V5)
    const { granted } = await reader.subscribe([
      { topic: '9', qos: 2 },
      { topic: 'a', qos: 0 },
      { topic: '1', qos: 1 },
      { topic: 'a', qos: 1 },
    ])
    expect(granted).to.deep.equal([2, 0, 1, 1])
    reader.publish({ topic: 'a', qos: 2 })
    reader.publish({ topic: '9', qos: 2 })
    const messages = await reader.first(2)
    expect(messages.map(({ topic, qos }) => `${topic} at ${qos}`)).to.deep.equal([
      'a at 1',
      '9 at 2',
    ])
  })

  it('to a filter named __proto__ among others does not end a session that comes back', async () => {
    const { connect, untilConnections } = await startTcpBroker()
    const session = { clientId: 'sleeper', clean: false } as const
    const topics = ['a', '__proto__', 'b']
    const publisher = await connect()
    publisher.publish({ topic: '__proto__', retain: true, payload: 'kept' })
    const first = await connect(session)
    await first.subscribe(topics.map((topic) => ({ topic, qos: 1 })))
    await first.until('__proto__')
    first.stream.destroy()
    await untilConnections(1)
    for (const topic of topics) publisher.publish({ topic, qos: 1, payload: 'missed' })
    await settled(publisher)
    const second = await connect(session)
    publisher.publish({ topic: '__proto__', qos: 1, payload: 'live' })
    const messages = await second.first(4)
    expect(messages.map(({ topic, payload }) => `${topic} ${payload.toString()}`)).to.deep.equal([
      ...topics.map((topic) => `${topic} missed`),
      '__proto__ live',
    ])
  })
})

describe('a version 5 client that takes small packets only', () => {
  const connectWith = (maximumPacketSize: number): Buffer =>
    connectOf(5, { properties: props(0x27, u32(maximumPacketSize)) })

  it('is closed without a word when its CONNACK is too large', async () => {
    const house = await openHouseForTest()
    for (const size of [1, 4, 15]) {
      const stranger = await house.connect()
      await stranger.send(connectWith(size))
      expect((await stranger.untilClosed()).length).to.equal(0)
    }
    const known = await house.connect()
    await known.send(connectWith(64))
    await known.untilPingAnswered()
    expect(house.broker.metrics()['connections']).to.equal(1)
  })

  it('is closed without a word when it is refused, and the refusal is too large', async () => {
    const house = await openHouseForTest({ authenticator: createAuthenticator({}) })
    for (const [size, expected] of [
      [4, ''],
      [5, '20030087'],
    ] as const) {
      const stranger = await house.connect()
      await stranger.send(connectWith(size))
      const answer = await stranger.untilClosed()
      expect(answer.subarray(0, 4).toString('hex')).to.equal(expected)
    }
  })

  it('is told so when the answer to its many filters is too large', async () => {
    const house = await openHouseForTest()
    const filters = (count: number, ...options: number[]): Buffer[][] =>
      Array.from({ length: count }, () => [text('a'), Buffer.from(options)])
    for (const [first, ...options] of [[0x82, 0], [0xa2]] as const) {
      const stranger = await house.connect()
      await stranger.send(connectWith(64))
      const connack = await stranger.untilReceived(4)
      const preface = 2 + (connack[1] ?? 0)
      await stranger.send(packet(first, u16(1), props(), ...filters(59, ...options)))
      expect((await stranger.untilReceived(preface + 64)).length).to.equal(preface + 64)
      await stranger.send(packet(first, u16(1), props(), ...filters(60, ...options)))
      const answer = (await stranger.untilClosed()).subarray(preface + 64)
      expect(answer.toString('hex')).to.equal('e00195')
    }
    expect(house.broker.metrics()['refused_answer_too_large']).to.equal(2)
  })

  it('is told no reason in words', async () => {
    const { connect } = await startTcpBroker()
    const forbidden = { topic: '$SYS/x', qos: 1 } as const
    for (const [maximumPacketSize, isLong] of [
      [1000, true],
      [40, false],
    ] as const) {
      const peer = await connect({ ...V5, properties: { maximumPacketSize } })
      peer.publish(forbidden)
      await settled(peer)
      const [puback] = peer.packets.filter(({ cmd }) => cmd === 'puback')
      expect(puback).to.deep.include({ reasonCode: 0x87 })
      expect(Boolean(puback?.cmd === 'puback' && puback.properties?.reasonString)).to.equal(isLong)
    }
  })

  it('is sent away without a reason in words', async () => {
    const limits = { maxMessagesPerSecond: 1, maxDocumentsPerSecond: 1 }
    for (const [maximumPacketSize, isLong] of [
      [1000, true],
      [20, false],
    ] as const) {
      const { connect } = await startTcpBroker({ limits })
      const peer = await connect({ ...V5, properties: { maximumPacketSize } })
      for (let i = 0; i < 20; i++) peer.publish({ topic: 'flood' })
      expect(await peer.closed).to.equal(0x96)
      const last = peer.packets.at(-1)
      expect(Boolean(last?.cmd === 'disconnect' && last.properties?.reasonString)).to.equal(isLong)
    }
  })
})

describe('a version 5 publication that is refused', () => {
  const answersOf = (peer: MqttPeer): (readonly [string, number | undefined])[] =>
    peer.packets.flatMap((each) =>
      each.cmd === 'puback' || each.cmd === 'pubrec' ? [[each.cmd, each.reasonCode] as const] : [],
    )

  it('is answered 0x97 when a quota is the reason, and the connection goes on', async () => {
    const { connect } = await startTcpBroker({ limits: { maxRetained: 1 } })
    const peer = await connect(V5)
    for (const [topic, qos] of [
      ['first', 1],
      ['second', 2],
      ['third', 1],
    ] as const) {
      peer.publish({ topic, retain: true, qos, payload: 'x' })
    }
    await settled(peer)
    expect(answersOf(peer)).to.deep.equal([
      ['puback', 0],
      ['pubrec', 0x97],
      ['puback', 0x97],
    ])
  })

  it('is answered 0x99 when it says that it is text, and is none; and reaches nobody', async () => {
    const { connect } = await startTcpBroker()
    const peer = await connect(V5)
    await peer.subscribe([{ topic: '#' }])
    const properties = { payloadFormatIndicator: true }
    for (const qos of [1, 2] as const) {
      peer.publish({ topic: 'bytes', qos, payload: Buffer.from([0xff]), properties })
    }
    peer.publish({ topic: 'text', payload: '한', properties })
    expect(await peer.until('text')).to.deep.equal([])
    expect(answersOf(peer)).to.deep.equal([
      ['puback', 0x99],
      ['pubrec', 0x99],
    ])
  })

  it('is no error of the connection', async () => {
    const { connect } = await startTcpBroker()
    const watcher = await connect()
    await watcher.subscribe([{ topic: 'presence/connections/#' }])
    const peer = await connect({ ...V5, clientId: 'peer', username: 'peer' })
    peer.publish({ topic: '$SYS/x', qos: 1 })
    await settled(peer)
    peer.stream.destroy()
    const messages = await watcher.first(2)
    expect(JSON.parse(messages[1]?.payload.toString() ?? '')).to.include({ reason: 'closed' })
  })
})
