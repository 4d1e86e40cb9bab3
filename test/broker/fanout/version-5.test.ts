import { expect } from 'chai'
import { type MqttPeer } from '../../helpers/mqtt-peer.ts'

import { PACKET, startBroker } from './stage.ts'

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
