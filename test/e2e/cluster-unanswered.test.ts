import { expect } from 'chai'
import { startCluster } from '../helpers/cluster.ts'
import { connectPeer, type MqttPeer } from '../helpers/mqtt-peer.ts'
import { isOffline, json, watch } from '../helpers/presence-reader.ts'
import { eventually, within } from '../helpers/within.ts'

const TAKEN_OVER = 0x8e
const A_MINUTE = 60
const DOCUMENTS = 'presence/connections/alice/phone'

describe('a client that moves while Redis does not answer', function () {
  this.timeout(60_000)

  it('is shown as it is where it came last, and has one connection and one session in the end', async () => {
    const cluster = await startCluster(2, { flags: ['--grace-broker', '2s'] })
    const connect = (index: number): Promise<MqttPeer> =>
      connectPeer(cluster.at(index).mqttPort, {
        version: 5,
        clientId: 'phone',
        username: 'alice',
        clean: false,
        properties: { sessionExpiryInterval: A_MINUTE },
      })
    const say = (peer: MqttPeer, place: string): void => {
      const document = { status: 'online', data: { place } }
      peer.publish({ topic: DOCUMENTS, payload: JSON.stringify(document), qos: 1 })
    }
    const readers = await Promise.all([0, 1].map((i) => watch(cluster.at(i), 'presence/users/#')))
    const shows = (place: string, withinMs: number): Promise<unknown> =>
      eventually(
        `${place} is shown by both`,
        () => readers.every((reader) => reader.last('presence/users/alice')?.includes(place)),
        withinMs,
      )

    const first = await connect(0)
    await first.subscribe([{ topic: 'news/old', qos: 1 }])
    say(first, 'home')
    await shows('home', 5000)

    cluster.redis.signal('SIGSTOP')
    const second = await connect(1)
    const third = await connect(0)
    const fourth = await connect(1)
    expect(fourth.connack).to.include({ sessionPresent: true, reasonCode: 0 })
    await fourth.subscribe([{ topic: 'news/new', qos: 1 }])
    for (const [peer, place] of [
      [third, 'train'],
      [fourth, 'office'],
    ] as const) {
      say(peer, place)
    }
    cluster.redis.signal('SIGCONT')

    await shows('office', 15_000)
    for (const peer of [first, second, third]) {
      expect(await within(15_000, 'the earlier ones end', peer.closed)).to.equal(TAKEN_OVER)
    }
    // What it says over the connection that is left counts.
    say(fourth, 'lobby')
    await shows('lobby', 5000)
    expect(fourth.stream.destroyed).to.equal(false)
    for (const reader of readers) {
      const shown = reader.messages.filter(({ topic }) => topic === 'presence/users/alice')
      expect(shown.map((message) => json(message)['status'])).to.not.include('offline')
      expect(json({ text: reader.last('presence/users/alice') ?? '' })).to.include({
        connections: 1,
      })
    }

    fourth.stream.destroy()
    await fourth.closed
    const publisher = await connectPeer(cluster.at(0).mqttPort)
    for (const topic of ['news/old', 'news/new', 'news/end']) {
      await publisher.request(
        { cmd: 'publish', messageId: 1, topic, qos: 1, payload: '', retain: false, dup: false },
        'puback',
      )
    }
    const back = await connect(0)
    back.acknowledge()
    expect(back.connack.sessionPresent).to.equal(true)
    await back.subscribe([{ topic: 'news/end', qos: 1 }])
    publisher.publish({ topic: 'news/end', qos: 1 })
    const kept = await within(5000, 'what was kept', back.until('news/end'))
    expect(kept.map(({ topic }) => topic)).to.deep.equal(['news/new'])
  })

  it('is gone where it came first, though it was only for a moment where it came last', async () => {
    const cluster = await startCluster(2, { flags: ['--grace-closed', '2s'] })
    const connect = (index: number): Promise<MqttPeer> => {
      const who = { version: 5, clientId: 'phone', username: 'alice' } as const
      return connectPeer(cluster.at(index).mqttPort, who)
    }
    const reader = await watch(cluster.at(0), 'presence/users/alice')
    cluster.redis.signal('SIGSTOP')
    const first = await connect(0)
    const second = await connect(1)
    second.stream.destroy()
    await second.closed
    cluster.redis.signal('SIGCONT')
    expect(await within(15_000, 'the first one ends', first.closed)).to.equal(TAKEN_OVER)
    await reader.next(isOffline('alice'), 15_000)
  })
})
