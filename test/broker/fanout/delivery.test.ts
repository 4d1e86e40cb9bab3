import { once } from 'node:events'
import { expect } from 'chai'
import { createWebSocketStream, WebSocket } from 'ws'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import { openPeer } from '../../helpers/mqtt-peer.ts'

import { clientOf, PACKET, startBroker } from './stage.ts'

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
