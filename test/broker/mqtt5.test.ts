import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { createBroker } from '../../broker/index.ts'
import { connectPeer, said, settled, SLEEPER, V5, type PeerOptions } from '../helpers/mqtt-peer.ts'
import { drop, startTcpBroker } from '../helpers/tcp-broker.ts'
import { connectOf, packet, props, text, u16 } from './gate/bytes.ts'
import { within } from '../helpers/within.ts'

/** Everything that comes from now on. */
function watchBytes(stream: Duplex): () => Buffer {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks)
}

describe('version 5: CONNACK', () => {
  it('tells an id that was assigned, the keepalive that counts, and the limits', async () => {
    const { connect } = await startTcpBroker({ livenessTimeoutMs: 90_000, maxPacketSize: 4096 })
    const { connack } = await connect({ ...V5, clientId: '', keepalive: 120 })
    expect(connack.properties?.assignedClientIdentifier).to.match(/./)
    expect(connack.properties).to.include({
      serverKeepAlive: 60,
      maximumPacketSize: 4096,
      receiveMaximum: 1024,
      topicAliasMaximum: 100,
    })
  })

  it('tells how long a session is kept at most, and hides nothing that is there', async () => {
    const { connect } = await startTcpBroker({ limits: { sessionExpiryMs: 60_000 } })
    const { connack } = await connect(SLEEPER)
    expect(connack.properties?.sessionExpiryInterval).to.equal(60)
    expect(connack.properties).not.to.have.property('sharedSubscriptionAvailable')
  })
})

describe('version 5: who asked for no keepalive, and was told one', function () {
  this.timeout(10_000)

  it('is held to it if it heeds it, and not otherwise', async () => {
    const { connect } = await startTcpBroker({ livenessTimeoutMs: 2000 })
    const deaf = await connect({ ...V5, clientId: 'deaf', keepalive: 0 })
    const heeding = await connect({ ...V5, clientId: 'heeding', keepalive: 0 })
    expect(deaf.connack.properties?.serverKeepAlive).to.equal(1)
    await heeding.request({ cmd: 'pingreq' }, 'pingresp')
    expect(await within(4000, 'the end', heeding.closed)).to.equal(0x8d)
    await deaf.request({ cmd: 'pingreq' }, 'pingresp')
    expect(await within(4000, 'the end', deaf.closed)).to.equal(0x8d)
  })
})

describe('version 5: a server says why it disconnects', () => {
  it('0x8B when it shuts down', async () => {
    const broker = await createBroker({ mqttPort: 0 })
    const peer = await connectPeer(broker.mqttPort ?? 0, V5)
    await settled(peer)
    await broker.close()
    expect(await peer.closed).to.equal(0x8b)
  })

  it('0x8D when nothing was heard for one and a half times the keepalive', async () => {
    const { connect } = await startTcpBroker()
    const peer = await connect({ ...V5, keepalive: 1 })
    expect(await peer.closed).to.equal(0x8d)
  })

  it('0x93 when more messages are open than it takes, before it calls that a flood', async () => {
    const { connect } = await startTcpBroker()
    const peer = await connect(V5)
    const max = peer.connack.properties?.receiveMaximum ?? 0
    for (let i = 0; i < max; i++) peer.publish({ topic: 'n', qos: 2 })
    await settled(peer)
    for (let i = 0; i < 5000; i++) peer.publish({ topic: 'n', qos: 2 })
    expect(await peer.closed).to.equal(0x93)
  })

  it('0x95 when a packet is too large', async () => {
    const { connect } = await startTcpBroker({ maxPacketSize: 2048 })
    const peer = await connect(V5)
    peer.publish({ topic: 'n', payload: Buffer.alloc(4096) })
    expect(await peer.closed).to.equal(0x95)
  })
})

describe('version 5: reason codes', () => {
  it('0x87 for what a client may not publish, which keeps its connection', async () => {
    const { connect } = await startTcpBroker()
    const peer = await connect(V5)
    const publish = { cmd: 'publish', topic: 'presence/bridge/status', payload: '' } as const
    const flags = { retain: false, dup: false } as const
    const puback = await peer.request({ ...publish, ...flags, qos: 1, messageId: 1 }, 'puback')
    const pubrec = await peer.request({ ...publish, ...flags, qos: 2, messageId: 2 }, 'pubrec')
    expect([puback.reasonCode, pubrec.reasonCode]).to.deep.equal([0x87, 0x87])
    await settled(peer)
  })

  it('0x87 for a filter that is not for the client, 0x11 for one that it does not have', async () => {
    const { connect } = await startTcpBroker()
    const peer = await connect(V5)
    const { granted } = await peer.subscribe([{ topic: '$own' }, { topic: 'a', qos: 2 }])
    expect(granted).to.deep.equal([0x87, 2])
    const unsuback = await peer.request(
      { cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['a', 'b'] },
      'unsuback',
    )
    expect(unsuback.granted).to.deep.equal([0, 0x11])
  })
})

describe('version 5: sessions', () => {
  it('end with the connection when the expiry is 0 or is not given', async () => {
    const house = await startTcpBroker()
    for (const properties of [{}, { properties: { sessionExpiryInterval: 0 } }]) {
      const options = { ...V5, clientId: 'brief', clean: false, ...properties }
      const first = await house.connect(options)
      await first.subscribe([{ topic: 'n', qos: 1 }])
      await drop(first, house)
      expect((await house.connect(options)).connack.sessionPresent).to.equal(false)
    }
  })

  it('end when their time is over', async () => {
    const house = await startTcpBroker()
    const options = { ...SLEEPER, properties: { sessionExpiryInterval: 1 } }
    const first = await house.connect(options)
    await drop(first, house)
    const inTime = await house.connect(options)
    expect(inTime.connack.sessionPresent).to.equal(true)
    await drop(inTime, house)
    // The time itself is what is tested.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect((await house.connect(options)).connack.sessionPresent).to.equal(false)
  })

  it('last as long as DISCONNECT says', async () => {
    const house = await startTcpBroker()
    const first = await house.connect(SLEEPER)
    first.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } })
    await first.closed
    await house.untilConnections(0)
    expect((await house.connect(SLEEPER)).connack.sessionPresent).to.equal(false)
  })

  it('are continued by a client that wants to keep them no longer, with what was waiting', async () => {
    const house = await startTcpBroker()
    const first = await house.connect(SLEEPER)
    await first.subscribe([{ topic: 'n', qos: 1 }])
    await drop(first, house)
    const publisher = await house.connect()
    publisher.publish({ topic: 'n', qos: 1, payload: 'waiting' })
    await settled(publisher)
    const last = await house.connect({ ...SLEEPER, properties: { sessionExpiryInterval: 0 } })
    expect(last.connack.sessionPresent).to.equal(true)
    await last.subscribe([{ topic: 'end', qos: 1 }])
    publisher.publish({ topic: 'n', qos: 1, payload: 'live' })
    publisher.publish({ topic: 'end', qos: 1 })
    expect(said(await last.until('end'))).to.deep.equal(['waiting', 'live'])
    await drop(last, house)
    expect((await house.connect(SLEEPER)).connack.sessionPresent).to.equal(false)
  })
})

describe('version 5: wills', () => {
  const will = { topic: 'wills', payload: Buffer.from('gone') }

  it('come after their delay', async () => {
    const house = await startTcpBroker()
    const reader = await house.connect(V5)
    await reader.subscribe([{ topic: 'wills' }])
    const delayed = { ...will, properties: { willDelayInterval: 1, contentType: 'text/plain' } }
    await drop(await house.connect({ ...SLEEPER, will: delayed }), house)
    const from = performance.now()
    const [message] = await reader.first(1)
    expect(performance.now() - from).to.be.within(700, 5000)
    expect(message?.properties).to.deep.equal({ contentType: 'text/plain' })
  })

  it('come no later than the end of the session', async () => {
    const house = await startTcpBroker()
    const reader = await house.connect(V5)
    await reader.subscribe([{ topic: 'wills' }])
    const delayed = { ...will, properties: { willDelayInterval: 600 } }
    const peer = await house.connect({ ...V5, will: delayed })
    await drop(peer, house)
    await reader.first(1)
  })

  it('do not come when the client is back in time', async () => {
    const house = await startTcpBroker()
    const reader = await house.connect(V5)
    await reader.subscribe([{ topic: 'wills' }, { topic: 'end' }])
    const delayed = { ...will, properties: { willDelayInterval: 600 } }
    await drop(await house.connect({ ...SLEEPER, will: delayed }), house)
    const back = await house.connect({ ...SLEEPER, will })
    await settled(back)
    await drop(back, house)
    await reader.first(1)
    reader.publish({ topic: 'end' })
    expect(await reader.until('end')).to.have.length(1)
  })

  it('come on DISCONNECT when the client asks for it', async () => {
    const { connect } = await startTcpBroker()
    const reader = await connect(V5)
    await reader.subscribe([{ topic: 'wills' }])
    const peer = await connect({ ...V5, will })
    peer.send({ cmd: 'disconnect', reasonCode: 0x04 })
    await reader.first(1)
  })

  it('keep the order of their user properties', async () => {
    const { port, connect } = await startTcpBroker()
    const reader = await connect(V5)
    await reader.subscribe([{ topic: 'wills' }])
    const came = watchBytes(reader.stream)
    const properties = props(
      ...['2', 'a', '1', '2'].flatMap((name) => [0x26, text(name), text('x')]),
    )
    const socket = connectTcp({ port, noDelay: true })
    socket.write(
      connectOf(5, { flags: 6, payload: [text('mortal'), properties, text('wills'), text('')] }),
    )
    await once(socket, 'data')
    socket.destroy()
    await reader.first(1)
    expect(came().includes(properties)).to.equal(true)
  })
})

describe('version 5: messages that expire', () => {
  it('are not sent later, and say what is left of their time', async () => {
    const house = await startTcpBroker()
    const sleeper = await house.connect(SLEEPER)
    await sleeper.subscribe([{ topic: 'n', qos: 1 }])
    await drop(sleeper, house)
    const publisher = await house.connect(V5)
    for (const [payload, messageExpiryInterval] of [
      ['short', 1],
      ['long', 600],
    ] as const) {
      const properties = { messageExpiryInterval }
      publisher.publish({ topic: 'n', qos: 1, payload, properties })
      publisher.publish({ topic: `kept/${payload}`, retain: true, qos: 1, payload, properties })
    }
    await settled(publisher)
    // The time itself is what is tested.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    const back = await house.connect(SLEEPER)
    await back.subscribe([{ topic: 'kept/+', qos: 1 }])
    await back.subscribe([{ topic: 'end' }])
    publisher.publish({ topic: 'end' })
    const messages = await back.until('end')
    expect(said(messages).toSorted()).to.deep.equal(['long', 'long'])
    for (const { properties } of messages) {
      expect(properties?.messageExpiryInterval).to.be.within(595, 599)
    }
  })
})

describe('version 5: subscription options', () => {
  it('retain handling 0, 1 and 2: always, for a new subscription, never', async () => {
    const { connect } = await startTcpBroker()
    const publisher = await connect(V5)
    publisher.publish({ topic: 'kept', retain: true, qos: 1, payload: 'x' })
    await settled(publisher)
    for (const [rh, counts] of [
      [0, [1, 2]],
      [1, [1, 1]],
      [2, [0, 0]],
    ] as const) {
      const reader = await connect(V5)
      for (const count of counts) {
        await reader.subscribe([{ topic: 'kept', rh, qos: 1 }])
        await reader.subscribe([{ topic: 'end', rh: 2 }])
        publisher.publish({ topic: 'end' })
        await reader.until('end')
        reader.messages.splice(
          reader.messages.findIndex(({ topic }) => topic === 'end'),
          1,
        )
        expect(reader.messages, `retain handling ${rh}`).to.have.length(count)
      }
    }
  })

  it('a subscription identifier comes with live, retained and stored messages', async () => {
    const house = await startTcpBroker()
    const publisher = await house.connect(V5)
    publisher.publish({ topic: 'n', retain: true, qos: 1, payload: 'retained' })
    await settled(publisher)
    const reader = await house.connect(SLEEPER)
    await reader.subscribe([{ topic: 'n', qos: 1 }], { subscriptionIdentifier: 7 })
    await reader.first(1)
    publisher.publish({ topic: 'n', qos: 1, payload: 'live' })
    await reader.first(2)
    reader.acknowledge()
    await settled(reader)
    await drop(reader, house)
    publisher.publish({ topic: 'n', qos: 1, payload: 'stored' })
    await settled(publisher)
    const back = await house.connect(SLEEPER)
    await back.first(1)
    const messages = [...reader.messages, ...back.messages]
    expect(said(messages)).to.deep.equal(['retained', 'live', 'stored'])
    for (const { properties } of messages) expect(properties?.subscriptionIdentifier).to.equal(7)
  })

  it('a retained message comes at no higher QoS than was granted to a filter with wildcards', async () => {
    const { connect } = await startTcpBroker()
    const publisher = await connect()
    publisher.publish({ topic: 'kept/1', retain: true, qos: 2, payload: 'x' })
    await publisher.request({ cmd: 'pubrel', messageId: 1 }, 'pubcomp')
    for (const qos of [0, 1, 2] as const) {
      const reader = await connect(V5)
      await reader.subscribe([{ topic: 'kept/+', qos }])
      const [message] = await reader.first(1)
      expect(message).to.include({ qos, retain: true })
    }
  })
})

describe('version 5: flow control', () => {
  for (const kind of ['clean', 'persistent']) {
    const options: PeerOptions = kind === 'clean' ? V5 : SLEEPER
    it(`a client has no more messages in flight than it takes, the rest waits in order: ${kind}`, async () => {
      const { connect } = await startTcpBroker()
      const properties = { ...options.properties, receiveMaximum: 3 }
      const reader = await connect({ ...options, properties })
      await reader.subscribe([{ topic: 'n', qos: 2 }])
      const publisher = await connect()
      for (let i = 0; i < 20; i++) {
        publisher.publish({ topic: 'n', qos: kind === 'clean' ? 1 : 2, payload: String(i) })
      }
      await settled(publisher)
      await settled(reader)
      expect(reader.messages).to.have.length(3)
      reader.acknowledge()
      await reader.first(20)
      expect(said(reader.messages)).to.deep.equal([...Array(20).keys()].map(String))
    })
  }

  it('what waits is bounded, and counted when it goes', async () => {
    const { broker, connect } = await startTcpBroker({ limits: { maxSessionQueue: 5 } })
    const reader = await connect({ ...V5, properties: { receiveMaximum: 1 } })
    await reader.subscribe([{ topic: 'n', qos: 1 }])
    const publisher = await connect()
    for (let i = 0; i < 20; i++) publisher.publish({ topic: 'n', qos: 1, payload: String(i) })
    await settled(publisher)
    reader.acknowledge()
    await reader.first(6)
    expect(said(reader.messages)).to.deep.equal(['0', '15', '16', '17', '18', '19'])
    expect(broker.metrics()['droppedFromWindows']).to.equal(14)
  })

  it('a message above the size that a client takes is left out: live, retained and stored', async () => {
    const house = await startTcpBroker()
    const small = { ...SLEEPER, properties: { ...SLEEPER.properties, maximumPacketSize: 100 } }
    const publisher = await house.connect()
    const large = Buffer.alloc(200)
    publisher.publish({ topic: 'n/kept', retain: true, qos: 1, payload: large })
    await settled(publisher)
    const reader = await house.connect(small)
    await reader.subscribe([
      { topic: 'n/+', qos: 1 },
      { topic: 'end', qos: 1 },
    ])
    publisher.publish({ topic: 'n/live', qos: 1, payload: large })
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await reader.until('end')).to.deep.equal([])
    reader.acknowledge()
    await settled(reader)
    await drop(reader, house)
    publisher.publish({ topic: 'n/stored', qos: 1, payload: large })
    publisher.publish({ topic: 'end', qos: 1 })
    await settled(publisher)
    const back = await house.connect(small)
    expect(await back.until('end')).to.deep.equal([])
  })
})

describe('version 5: a publisher', () => {
  it('has its properties forwarded unaltered, and its aliases kept from others', async () => {
    const { connect } = await startTcpBroker()
    const reader = await connect(V5)
    await reader.subscribe([{ topic: 'n/#' }])
    const publisher = await connect(V5)
    const properties = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'answers',
      correlationData: Buffer.from('7'),
      userProperties: { a: ['1', '2'], b: '3' },
    }
    publisher.publish({ topic: 'n/1', properties: { ...properties, topicAlias: 3 } })
    publisher.publish({ topic: '', properties: { topicAlias: 3 } })
    const [first, second] = await reader.first(2)
    expect(JSON.parse(JSON.stringify(first?.properties))).to.deep.equal(
      JSON.parse(JSON.stringify(properties)),
    )
    expect(second?.topic).to.equal('n/1')
    expect(second?.properties?.topicAlias).to.equal(undefined)
  })

  it('has its user properties forwarded in their order: live, retained and stored', async () => {
    const house = await startTcpBroker()
    const pairs = [
      ['b', '1'],
      ['9', '2'],
      ['a', '3'],
      ['b', '4'],
      ['__proto__', '5'],
      ['1', ''],
    ] as const
    const properties = props(...pairs.flatMap(([name, value]) => [0x26, text(name), text(value)]))
    const reader = await house.connect(SLEEPER)
    await reader.subscribe([{ topic: 'n', qos: 1 }])
    const publisher = await house.connect(V5)
    const publish = (): Promise<unknown> => {
      publisher.stream.write(packet(0x33, text('n'), u16(1), properties, 0x78))
      return settled(publisher)
    }
    const came = watchBytes(reader.stream)
    await publish()
    await reader.first(1)
    expect(came().includes(properties), 'live').to.equal(true)
    await drop(reader, house)
    await publish()
    for (const [what, options] of [
      ['stored', SLEEPER],
      ['retained', V5],
    ] as const) {
      const late = await house.connect(options)
      const bytes = watchBytes(late.stream)
      await late.subscribe([{ topic: 'n', qos: 1 }])
      await late.first(1)
      expect(bytes().includes(properties), what).to.equal(true)
    }
  })
})
