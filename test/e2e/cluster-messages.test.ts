import { expect } from 'chai'
import type { IPublishPacket, QoS } from 'mqtt-packet'
import { shareInSuite } from '../helpers/cluster-suite.ts'
import { startCluster } from '../helpers/cluster.ts'
import { connectPeer, type MqttPeer } from '../helpers/mqtt-peer.ts'
import { readRetained } from '../helpers/presence-reader.ts'
import type { Program } from '../helpers/process.ts'
import { eventually, within } from '../helpers/within.ts'

const ALL = [0, 1, 2]
const VERSIONS = { '3.1.1': 4, '5': 5 } as const

describe('messages among three brokers', function () {
  this.timeout(20_000)
  const cluster = shareInSuite(() => startCluster(3))

  async function readerAt(index: number, filter: string, version: 4 | 5 = 5): Promise<MqttPeer> {
    const reader = await connectPeer(cluster().at(index).mqttPort, { version })
    reader.acknowledge()
    await reader.subscribe([{ topic: filter, qos: 2 }])
    return reader
  }

  async function publisherAt(index: number, version: 4 | 5 = 5): Promise<MqttPeer> {
    const publisher = await connectPeer(cluster().at(index).mqttPort, { version })
    publisher.acknowledge()
    return publisher
  }

  for (const [name, version] of Object.entries(VERSIONS)) {
    for (const qos of [0, 1, 2] as const) {
      it(`reach the readers of all, in order and once: MQTT ${name}, QoS ${qos}`, async () => {
        const topic = `each/${version}/${qos}`
        const readers = await Promise.all(ALL.map((i) => readerAt(i, `${topic}/+`, version)))
        const publisher = await publisherAt(1, version)
        const sent = Array.from({ length: 50 }, (_, i) => `${i}`)
        for (const payload of sent) publisher.publish({ topic: `${topic}/x`, payload, qos })
        publisher.publish({ topic: `${topic}/end`, qos })
        for (const reader of readers) {
          const messages = await within(5000, 'the last one', reader.until(`${topic}/end`))
          expect(messages.map((message) => String(message.payload))).to.deep.equal(sent)
          expect(new Set(messages.map((message) => message.qos))).to.deep.equal(new Set([qos]))
          expect(messages.some(({ retain, dup }) => retain || dup)).to.equal(false)
        }
      })
    }
  }

  it('arrive as they were: bytes, properties, and the time until they expire', async () => {
    const readers = await Promise.all(ALL.map((i) => readerAt(i, 'whole/#')))
    const publisher = await publisherAt(0)
    const payload = Buffer.from([0, 10, 13, 255, 254, 0xc3, 0x28, 10])
    const properties = {
      contentType: 'a/b',
      responseTopic: 'réponse/1',
      correlationData: Buffer.from([0, 255]),
      payloadFormatIndicator: false,
      userProperties: { a: ['1', '2'], 'ä b': 'ü' },
    }
    publisher.publish({
      topic: 'whole/é',
      payload,
      qos: 1,
      properties: { ...properties, messageExpiryInterval: 100 },
    })
    for (const reader of readers) {
      const [message] = await within(5000, 'the message', reader.first(1))
      expect(message?.topic).to.equal('whole/é')
      expect(message?.payload).to.deep.equal(payload)
      const { messageExpiryInterval, ...others } = message?.properties ?? {}
      expect(messageExpiryInterval).to.be.within(98, 100)
      expect({ ...others, userProperties: { ...others.userProperties } }).to.deep.equal(properties)
    }
  })

  it('of a publisher who does not want his own come to the others alone', async () => {
    const publisher = await publisherAt(0)
    await publisher.subscribe([{ topic: 'own/#', qos: 0, nl: true }])
    const reader = await readerAt(2, 'own/#')
    publisher.publish({ topic: 'own/1', payload: 'x' })
    reader.publish({ topic: 'own/end' })
    await within(5000, 'the last one', publisher.until('own/end'))
    expect(publisher.messages.map(({ topic }) => topic)).to.deep.equal(['own/end'])
    expect((await reader.until('own/end')).length).to.be.below(2)
  })

  it('are neither lost nor doubled nor out of order under load', async () => {
    const counts = [1500, 1000, 1000]
    const readers = await Promise.all(ALL.map((i) => readerAt(i, 'load/#')))
    const publishers = await Promise.all(ALL.map((i) => publisherAt(i)))
    const publish = async (index: number): Promise<void> => {
      const publisher = publishers[index]
      const count = counts[index] ?? 0
      for (let i = 0; i < count; i++) {
        const qos = index as QoS
        publisher?.publish({ topic: `load/${index}`, payload: String(i), qos })
        if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 20))
      }
      publisher?.publish({ topic: `load/${index}/end`, qos: index as QoS })
    }
    await Promise.all(ALL.map(publish))
    for (const reader of readers) {
      for (const i of ALL) await within(10_000, 'the end', reader.until(`load/${i}/end`))
      for (const i of ALL) {
        const wanted = Array.from({ length: counts[i] ?? 0 }, (_, n) => String(n))
        const got = reader.messages.filter(({ topic }) => topic === `load/${i}`)
        expect(got.map(({ payload }) => String(payload))).to.deep.equal(wanted)
      }
    }
  })

  describe('that are retained', () => {
    function retainedAt(server: Program, filter: string): Promise<ReadonlyMap<string, string>> {
      return readRetained(server, filter)
    }

    async function retain(publisher: MqttPeer, topic: string, payload: string): Promise<void> {
      const packet = { cmd: 'publish', topic, payload, qos: 1, retain: true, dup: false } as const
      await publisher.request({ ...packet, messageId: 1000 }, 'puback')
    }

    it('are there for late subscribers at every broker, and cleared by any', async () => {
      const publisher = await publisherAt(0)
      const readers = await Promise.all(ALL.map((i) => readerAt(i, 'kept/#')))
      await retain(publisher, 'kept/a', 'first')
      await retain(publisher, 'kept/b', 'other')
      for (const reader of readers) await within(5000, 'both', reader.first(2))
      for (const server of cluster().servers) {
        expect(linesOf(await retainedAt(server, 'kept/#'))).to.deep.equal([
          'kept/a first',
          'kept/b other',
        ])
      }
      await retain(await publisherAt(2), 'kept/a', '')
      for (const reader of readers) {
        const messages: readonly IPublishPacket[] = await within(5000, 'it', reader.first(3))
        expect(messages[2]?.payload.length).to.equal(0)
        expect(messages.some((message) => message.retain)).to.equal(false)
      }
      for (const server of cluster().servers) {
        expect([...(await retainedAt(server, 'kept/#')).keys()]).to.deep.equal(['kept/b'])
      }
    })

    it('are the same everywhere after brokers have set one topic at the same time', async () => {
      const publishers = await Promise.all(ALL.map((i) => publisherAt(i)))
      for (let round = 0; round < 100; round++) {
        for (const [i, publisher] of publishers.entries()) {
          const topic = `contested/${round % 10}`
          const payload = (round + i) % 5 === 0 ? '' : `${round}/${i}`
          publisher.publish({ topic, payload, qos: 1, retain: true })
        }
        if (round % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await Promise.all(
        publishers.map((publisher, i) => retain(publisher, `contested/end/${i}`, '1')),
      )
      await eventually('the same everywhere', async () => {
        const all = await Promise.all(
          cluster().servers.map(async (server) =>
            linesOf(await retainedAt(server, 'contested/#')).join(),
          ),
        )
        return new Set(all).size === 1 && (all[0]?.length ?? 0) > 50
      })
    })

    it('are all there in a broker that joins late, before it lets anybody in', async () => {
      const publisher = await publisherAt(0)
      for (let i = 0; i < 300; i++)
        publisher.publish({ topic: `many/${i}`, payload: 'x'.repeat(i + 1), retain: true })
      await retain(publisher, 'many/last', 'x')
      const late = await cluster().start()
      const [there, here] = await Promise.all([
        retainedAt(late, 'many/#'),
        retainedAt(cluster().at(0), 'many/#'),
      ])
      expect(there.size).to.equal(301)
      expect(linesOf(there)).to.deep.equal(linesOf(here))
    })
  })
})

function linesOf(retained: ReadonlyMap<string, string>): string[] {
  const lines = [...retained].map(([topic, text]) => `${topic} ${text}`)
  return lines.toSorted((a, b) => a.localeCompare(b))
}
