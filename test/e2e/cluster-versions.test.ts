import { expect } from 'chai'
import { connectMqttLink, type Link } from '../../bridge/index.ts'
import { shareInSuite } from '../helpers/cluster-suite.ts'
import { startCluster } from '../helpers/cluster.ts'
import { connectPeer, type MqttPeer } from '../helpers/mqtt-peer.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

const NOW = Date.now()

/** For how long Redis takes no commands, in milliseconds. */
const PAUSE_MS = 400

describe('what bridges publish at two brokers at the same time', function () {
  this.timeout(30_000)
  const cluster = shareInSuite(() => startCluster(2))

  async function linkTo(index: number): Promise<Link> {
    const url = `mqtt://presence-bridge@127.0.0.1:${cluster().at(index).mqttPort}`
    const link = await connectMqttLink({ url, clientId: `versions-${index}-${Math.random()}` })
    onTeardown(() => link.close())
    await link.open(['presence/nobody'], { async onMessage() {}, async onUp() {}, onDown() {} })
    return link
  }

  async function readerAt(index: number, filter: string): Promise<MqttPeer> {
    const reader = await connectPeer(cluster().at(index).mqttPort, { version: 5 })
    reader.acknowledge()
    await reader.subscribe([{ topic: filter, qos: 1 }])
    return reader
  }

  function textsOf(reader: MqttPeer, topic: string): string[] {
    return reader.messages
      .filter((message) => message.topic === topic)
      .map(({ payload }) => String(payload))
  }

  async function retainedAt(link: Link, topic: string): Promise<string | undefined> {
    const [message] = await link.readRetained([topic])
    return message && new TextDecoder().decode(message.payload)
  }

  interface Case {
    readonly title: string
    /** Which of the two is first in the log. */
    readonly first: 'newer' | 'older'
    /** What the newer one says; '' when it clears. */
    readonly says: string
  }
  const cases: readonly Case[] = [
    { title: 'the older one is later in the log', first: 'newer', says: 'newer' },
    { title: 'the newer one is later in the log', first: 'older', says: 'newer' },
    { title: 'the older one is later in the log, the newer one clears', first: 'newer', says: '' },
    { title: 'the newer one is later in the log and clears', first: 'older', says: '' },
  ]
  for (const [i, { title, first, says }] of cases.entries()) {
    it(`is everywhere the newest in the end, and goes back nowhere: ${title}`, async () => {
      const topic = `presence/users/user-${i}/status`
      const end = `presence/users/end-${i}`
      const links = [await linkTo(0), await linkTo(1)] as const
      const readers = [await readerAt(0, 'presence/users/#'), await readerAt(1, 'presence/users/#')]
      const say = {
        newer: () => links[0].publish(topic, says, { retain: true, version: NOW + 2 }),
        older: () => links[1].publish(topic, 'older', { retain: true, version: NOW + 1 }),
      }
      await links[0].publish(topic, 'before', { retain: true, version: NOW })
      await eventually('everybody has it', () =>
        readers.every((reader) => textsOf(reader, topic).length === 1),
      )
      // Neither broker learns of the other one's message before it has its own.
      await cluster().redis.command(`CLIENT PAUSE ${PAUSE_MS} ALL`)
      const before = say[first]()
      await eventually('the first one is there', () =>
        readers.some((reader) => textsOf(reader, topic).length === 2),
      )
      const after = say[first === 'newer' ? 'older' : 'newer']()
      await eventually('the second one is there', () =>
        readers.every((reader) => textsOf(reader, topic).length === 2),
      )
      await Promise.all([before, after])
      for (const link of links) await link.publish(end, '', { retain: false })
      await eventually('the markers', () =>
        readers.every((reader) => textsOf(reader, end).length === 2),
      )
      expect(readers.map((reader) => textsOf(reader, topic))).to.deep.equal([
        ['before', says],
        ['before', 'older', says],
      ])
      const shown = says === '' ? undefined : says
      for (const link of links) expect(await retainedAt(link, topic)).to.equal(shown)
      // Who joins now has it from Redis, and what it is later than.
      const third = await cluster().start()
      const url = `mqtt://presence-bridge@127.0.0.1:${third.mqttPort}`
      const link = await connectMqttLink({ url, clientId: `third-${i}` })
      onTeardown(() => link.close())
      expect(await retainedAt(link, topic)).to.equal(shown)
      await link.open(['presence/nobody'], { async onMessage() {}, async onUp() {}, onDown() {} })
      await link.publish(topic, 'late', { retain: true, version: NOW + 1 })
      expect(await retainedAt(link, topic)).to.equal(shown)
      expect((await third.metrics()).get('presence_broker_fenced_total') ?? 0).to.equal(1)
      await third.stop()
    })
  }
})
