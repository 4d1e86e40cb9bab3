import { expect } from 'chai'
import { ManualClock, settle } from '../../helpers/manual-clock.ts'
import { connectPeer } from '../../helpers/mqtt-peer.ts'
import { connectOf, packet, props, text, u16, varint } from './bytes.ts'
import { openHouseForTest, type Stranger } from './stranger.ts'

const CONNACK_4 = '20020000'

/** The beginning of a PUBLISH that says how many bytes of payload there will be. */
function beginPublish(payloadBytes: number, topic = 'topic', version: 4 | 5 = 4): Buffer {
  const head = Buffer.concat([text(topic), version === 5 ? props() : Buffer.alloc(0)])
  return Buffer.concat([Buffer.from([0x30]), varint(head.length + payloadBytes), head])
}

describe('while it waits, the gate', () => {
  async function openWithClock() {
    const clock = new ManualClock()
    const house = await openHouseForTest({ clock })

    /** Lets the time pass, and does something at the end of each step. */
    async function every(stepMs: number, steps: number, run: () => unknown): Promise<void> {
      for (let i = 0; i < steps; i++) {
        await clock.advance(stepMs)
        await run()
        await settle()
      }
    }

    async function connect(bytes: Buffer): Promise<Stranger> {
      const stranger = await house.connect()
      await stranger.send(bytes)
      await stranger.untilReceived(4)
      return stranger
    }

    return { clock, house, every, connect }
  }

  it('closes a socket that has no CONNECT within its time', async () => {
    const { house, every } = await openWithClock()
    const stranger = await house.connect()
    await every(500, 19, () => {})
    expect(stranger.isClosed).to.equal(false)
    await every(500, 3, () => {})
    expect((await stranger.untilClosed()).length).to.equal(0)
    expect(house.broker.metrics()['refused_connect_timeout']).to.equal(1)
  })

  it('closes a socket whose CONNECT comes byte by byte and does not end in time', async () => {
    const { house, every } = await openWithClock()
    const stranger = await house.connect()
    const connect = connectOf(4, { payload: [text('x'.repeat(100))] })
    let sent = 0
    await every(1000, 12, () => stranger.send(connect.subarray(sent, ++sent)))
    expect((await stranger.untilClosed()).length).to.equal(0)
    expect(house.broker.metrics()['refused_connect_timeout']).to.equal(1)
  })

  it('closes a connection whose packet comes byte by byte, and says so in version 5', async () => {
    const { house, every, connect } = await openWithClock()
    const stranger = await connect(connectOf(5, { keepalive: 60 }))
    const connack = stranger.received().length
    await stranger.send(beginPublish(1000, 'topic', 5))
    await every(1000, 9, () => stranger.send(Buffer.from('x')))
    expect(stranger.isClosed).to.equal(false)
    await every(1000, 3, () => stranger.send(Buffer.from('x')))
    const answer = (await stranger.untilClosed()).subarray(connack)
    expect(answer.toString('hex')).to.equal('e0018d')
    expect(house.broker.metrics()['refused_packet_timeout']).to.equal(1)
  })

  it('takes a large packet over a slow line, whose sender has no time for a PINGREQ', async () => {
    const { clock, house, every, connect } = await openWithClock()
    const reader = await connectPeer(house.broker.mqttPort ?? 0)
    await reader.subscribe([{ topic: 'topic' }])
    const stranger = await connect(connectOf(4, { keepalive: 5 }))
    const keepReader = (): void => reader.send({ cmd: 'pingreq' })
    await stranger.send(beginPublish(200 * 4096))
    await every(2000, 200, async () => {
      await stranger.send(Buffer.alloc(4096, 'x'))
      keepReader()
    })
    const [message] = await reader.first(1)
    expect(message?.payload.length).to.equal(200 * 4096)
    expect(clock.pending).to.be.greaterThan(0)
    await stranger.untilPingAnswered()
  })

  it('does not take a byte now and then for a sign of life', async () => {
    const { house, every, connect } = await openWithClock()
    const stranger = await connect(connectOf(4, { keepalive: 2 }))
    await stranger.send(beginPublish(1000))
    await every(500, 5, () => stranger.send(Buffer.from('x')))
    expect(stranger.isClosed).to.equal(false)
    await every(500, 3, () => stranger.send(Buffer.from('x')))
    await stranger.untilClosed()
    expect(house.broker.metrics()).to.include({ timeouts: 1, refused_packet_timeout: 0 })
  })

  it('holds nobody to the time in which this process was stopped', async () => {
    const { clock, house, every, connect } = await openWithClock()
    const arriving = await house.connect()
    const stranger = await connect(connectOf(4))
    await stranger.send(beginPublish(2))
    await settle()
    clock.jump(60_000)
    await every(500, 4, () => {})
    await arriving.send(connectOf(4, { payload: [text('arriving')] }))
    await stranger.send(Buffer.from('ok'))
    await Promise.all([arriving.untilPingAnswered(), stranger.untilPingAnswered()])
  })

  it('keeps nothing for what was announced and has not come', async () => {
    const house = await openHouseForTest({ maxPacketSize: 64 * 1024 * 1024 })
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 10; i++) {
      const stranger = await house.connect()
      await stranger.send(connectOf(4, { payload: [text(`stranger${i}`)] }))
      await stranger.untilReceived(4)
      await stranger.send(Buffer.concat([beginPublish(30_000_000), Buffer.alloc(1000)]))
    }
    await connectPeer(house.broker.mqttPort ?? 0)
    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(2_000_000)
  })

  it('takes no large WebSocket frame before it knows who sends it', async () => {
    const house = await openHouseForTest()
    const large = packet(0x30, text('topic'), Buffer.alloc(200 * 1024))
    const stranger = await house.connect('websocket')
    await stranger.send(Buffer.concat([connectOf(4), large]))
    expect((await stranger.untilClosed()).length).to.equal(0)
    const client = await house.connect('websocket')
    await client.send(connectOf(4))
    await client.untilReceived(4)
    await client.send(large)
    await client.untilPingAnswered()
  })
})

describe('what comes in one chunk', () => {
  it('may be 5,000 messages behind their CONNECT', async () => {
    const house = await openHouseForTest({ limits: { maxMessagesPerSecond: 1_000_000 } })
    const reader = await connectPeer(house.broker.mqttPort ?? 0)
    await reader.subscribe([{ topic: 'pipeline' }])
    const stranger = await house.connect()
    const messages = Array.from({ length: 5000 }, (_, i) =>
      packet(0x32, text('pipeline'), u16(i + 1), Buffer.from(String(i))),
    )
    await stranger.send(Buffer.concat([connectOf(4), ...messages]))
    const received = await reader.first(5000)
    expect(received.map(({ payload }) => Number(payload))).to.deep.equal(messages.map((_, i) => i))
    expect((await stranger.untilReceived(4 + 5000 * 4)).length).to.equal(4 + 5000 * 4)
  })

  it('is a whole life from CONNECT to DISCONNECT, and the end of the stream', async () => {
    const house = await openHouseForTest()
    const reader = await connectPeer(house.broker.mqttPort ?? 0)
    await reader.subscribe([{ topic: 'life/#' }])
    const stranger = await house.connect()
    const connect = connectOf(4, { flags: 6, payload: [text('p'), text('life/will'), text('')] })
    const publish = packet(0x32, text('life/message'), u16(1))
    const subscribe = packet(0x82, u16(2), text('a'), 0)
    await stranger.send(Buffer.concat([connect, publish, subscribe, packet(0xe0)]))
    stranger.end()
    await stranger.untilClosed()
    reader.publish({ topic: 'life/end' })
    const messages = await reader.until('life/end')
    expect(messages.map(({ topic }) => topic)).to.deep.equal(['life/message'])
  })

  it('ends with DISCONNECT', async () => {
    const house = await openHouseForTest()
    const reader = await connectPeer(house.broker.mqttPort ?? 0)
    await reader.subscribe([{ topic: 'late/#' }])
    const stranger = await house.connect()
    const publish = packet(0x30, text('late/message'))
    await stranger.send(Buffer.concat([connectOf(4), packet(0xe0), publish, packet(0x00)]))
    await stranger.untilClosed()
    reader.publish({ topic: 'late/end' })
    expect(await reader.until('late/end')).to.deep.equal([])
    expect(house.broker.metrics()['refused_packet_type']).to.equal(0)
  })

  it('is done in its order: a retained message comes once to who then subscribes to it', async () => {
    const house = await openHouseForTest()
    for (const [qos, answer] of ['', '40020001', '50020001'].entries()) {
      const stranger = await house.connect()
      const id = qos === 0 ? Buffer.alloc(0) : u16(1)
      const publish = packet(0x31 + 2 * qos, text(`order/${qos}`), id, 1)
      const subscribe = packet(0x82, u16(2), text(`order/${qos}`), 0)
      await stranger.send(Buffer.concat([connectOf(4), publish, subscribe]))
      const retained = packet(0x31, text(`order/${qos}`), 1).toString('hex')
      const expected = [CONNACK_4, answer, '9003000200', retained].join('')
      await stranger.untilReceived(expected.length / 2)
      expect((await stranger.untilPingAnswered()).toString('hex')).to.equal(expected)
      stranger.cut()
    }
  })
})

describe('who is refused', () => {
  it('is told why even in the middle of a packet that is too large', async () => {
    const house = await openHouseForTest()
    const stranger = await house.connect()
    await stranger.send(connectOf(5))
    const connack = (await stranger.untilReceived(15)).length
    await stranger.send(Buffer.concat([beginPublish(8_000_000, 't', 5), Buffer.alloc(8_000_000)]))
    const answer = (await stranger.untilClosed()).subarray(connack)
    expect(answer.toString('hex')).to.equal('e00195')
  })

  it('leaves with the reason error, and its will is published', async () => {
    const house = await openHouseForTest()
    const reader = await connectPeer(house.broker.mqttPort ?? 0)
    await reader.subscribe([{ topic: 'presence/connections/#' }, { topic: 'will' }])
    for (const version of [4, 5] as const) {
      const stranger = await house.connect()
      const payload = [text('p'), ...(version === 5 ? [props()] : []), text('will'), text('')]
      await stranger.send(connectOf(version, { flags: 6, payload }))
      await stranger.send(packet(0x00))
      await stranger.untilClosed()
    }
    const messages = await reader.first(6)
    const ends = messages.flatMap(({ topic, payload }) =>
      topic === 'will' ? [] : [JSON.parse(payload.toString()) as { reason?: string }],
    )
    expect(messages.filter(({ topic }) => topic === 'will').length).to.equal(2)
    expect(ends.flatMap(({ reason }) => reason ?? [])).to.deep.equal(['error', 'error'])
  })
})
