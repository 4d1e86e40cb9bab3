import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { startCluster, type ServerCluster } from '../helpers/cluster.ts'
import { describeTogether } from '../helpers/concurrently.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { connectPeer, type MqttPeer } from '../helpers/mqtt-peer.ts'
import { isOffline, watch } from '../helpers/presence-reader.ts'
import { eventually, within } from '../helpers/within.ts'

const TOPIC = 'news/x'

/** Opens the session of a client at a broker; what it was sent before is sent again. */
async function resume(cluster: ServerCluster, index: number, clientId: string): Promise<MqttPeer> {
  const properties = { sessionExpiryInterval: 600 }
  const options = { version: 5, clientId, clean: false, properties } as const
  const peer = await connectPeer(cluster.at(index).mqttPort, options)
  peer.acknowledge()
  return peer
}

/** Publishes numbers, one after the other, each acknowledged before the next. */
async function createCounter(cluster: ServerCluster, index: number) {
  const peer = await connectPeer(cluster.at(index).mqttPort, { version: 5 })
  let count = 0
  return {
    get count() {
      return count
    },
    async publish(more: number): Promise<void> {
      for (let n = 0; n < more; n++) {
        const packet = {
          cmd: 'publish',
          topic: TOPIC,
          payload: String(count++),
          retain: false,
        } as const
        await peer.request({ ...packet, qos: 1, dup: false, messageId: count }, 'puback')
      }
    },
  }
}

function isTakenOver({ msg }: { readonly msg: string }): boolean {
  return msg.includes('takes over')
}

function numbersOf(peers: readonly MqttPeer[]): number[] {
  return peers.flatMap(({ messages }) => messages.map(({ payload }) => Number(payload)))
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

describeTogether('a session among three brokers', 60_000, (scenario) => {
  scenario('goes along with its client, whatever is published meanwhile', async () => {
    const cluster = await startCluster(3)
    const counter = await createCounter(cluster, 2)
    const peers = [await resume(cluster, 0, 'mover')]
    await peers[0]?.subscribe([{ topic: 'news/#', qos: 1 }])
    let isOver = false
    const publishing = (async () => {
      while (!isOver) await counter.publish(1)
    })()
    for (let n = 1; n <= 12; n++) {
      await pause(60)
      const peer = await resume(cluster, n % 3, 'mover')
      expect(peer.connack.sessionPresent).to.equal(true)
      peers.push(peer)
    }
    isOver = true
    await publishing
    const last = peers.at(-1)
    const final = counter.count - 1
    await eventually('the last one', () => Number(last?.messages.at(-1)?.payload) === final)
    // What was not acknowledged comes again, to one connection in the order in which it was published.
    expect([...new Set(numbersOf(peers))].toSorted((a, b) => a - b)).to.deep.equal(upTo(final + 1))
    for (const peer of peers) {
      const numbers = numbersOf([peer])
      expect(numbers).to.deep.equal(numbers.toSorted((a, b) => a - b))
    }
  })

  scenario('waits for its client elsewhere when its broker is killed', async () => {
    const cluster = await startCluster(3)
    const counter = await createCounter(cluster, 2)
    const before = await resume(cluster, 0, 'waiting')
    await before.subscribe([{ topic: 'news/#', qos: 1 }])
    await counter.publish(3)
    await within(3000, 'the first ones', before.first(3))
    // What it has acknowledged must have arrived.
    await before.request({ cmd: 'pingreq' }, 'pingresp')
    before.stream.destroy()
    await counter.publish(3)
    cluster.at(0).kill('SIGKILL')
    await counter.publish(3)
    await eventually(
      'another broker takes over',
      () => [1, 2].some((index) => cluster.at(index).log.some(isTakenOver)),
      15_000,
    )
    await counter.publish(3)
    const after = await resume(cluster, 1, 'waiting')
    expect(after.connack.sessionPresent).to.equal(true)
    await eventually('the rest', () => numbersOf([after]).includes(11))
    // What was acknowledged in the last moment may come again, in its place.
    const numbers = numbersOf([after])
    expect(numbers.filter((n) => n > 2)).to.deep.equal(upTo(12).slice(3))
    expect(numbers).to.deep.equal(numbers.toSorted((a, b) => a - b))
  })

  scenario(
    'has what its client was told in the moment in which its broker was killed',
    async () => {
      const cluster = await startCluster(2)
      const counter = await createCounter(cluster, 1)
      const comes = await resume(cluster, 0, 'comes')
      const goes = await resume(cluster, 0, 'goes')
      await goes.subscribe([{ topic: 'news/#', qos: 1 }])
      await Promise.all([
        comes.subscribe([{ topic: 'news/#', qos: 1 }]),
        goes.request({ cmd: 'unsubscribe', unsubscriptions: ['news/#'], messageId: 7 }, 'unsuback'),
      ])
      cluster.at(0).kill('SIGKILL')
      await counter.publish(2)
      await eventually('its heir', () => cluster.at(1).log.some(isTakenOver), 15_000)
      await counter.publish(2)
      const back = await resume(cluster, 1, 'comes')
      await eventually('all of them', () => numbersOf([back]).length >= 4)
      expect(numbersOf([back])).to.deep.equal(upTo(4))
      const other = await resume(cluster, 1, 'goes')
      expect(other.connack.sessionPresent).to.equal(true)
      await counter.publish(1)
      await eventually('one more', () => numbersOf([back]).length >= 5)
      await other.request({ cmd: 'pingreq' }, 'pingresp')
      expect(other.messages).to.deep.equal([])
    },
  )

  scenario('ends everywhere with a clean start', async () => {
    const cluster = await startCluster(2)
    const counter = await createCounter(cluster, 1)
    const first = await resume(cluster, 0, 'clean')
    await first.subscribe([{ topic: 'news/#', qos: 1 }])
    first.stream.destroy()
    await pause(200)
    await counter.publish(2)
    const clean = await connectPeer(cluster.at(1).mqttPort, { version: 5, clientId: 'clean' })
    expect(clean.connack.sessionPresent).to.equal(false)
    clean.stream.destroy()
    await pause(200)
    const again = await resume(cluster, 0, 'clean')
    expect(again.connack.sessionPresent).to.equal(false)
    await counter.publish(1)
    await again.request({ cmd: 'pingreq' }, 'pingresp')
    expect(again.messages).to.deep.equal([])
  })

  scenario('that is shared serves each message once, whoever comes and goes', async () => {
    const cluster = await startCluster(3)
    const counter = await createCounter(cluster, 1)
    const members = await Promise.all(
      [0, 1, 2].map(async (index) => {
        const member = await connectPeer(cluster.at(index).mqttPort, { version: 5 })
        member.acknowledge()
        await member.subscribe([{ topic: '$share/workers/news/#', qos: 1 }])
        return member
      }),
    )
    await pause(200)
    await counter.publish(90)
    await eventually('each came', () => numbersOf(members).length >= 90)
    expect(numbersOf(members).toSorted((a, b) => a - b)).to.deep.equal(upTo(90))
    for (const member of members) expect(member.messages).to.not.deep.equal([])

    members[0]?.send({ cmd: 'disconnect' })
    await pause(200)
    for (const member of members) member.forget()
    await counter.publish(60)
    await eventually('each came', () => numbersOf(members).length >= 60)
    expect(numbersOf(members).toSorted((a, b) => a - b)).to.deep.equal(upTo(150).slice(90))
  })

  scenario('comes back after its broker was frozen, and nobody was offline', async () => {
    const cluster = await startCluster(2)
    const reader = await watch(cluster.at(1), 'presence/users/+')
    const steady = await connectClient(cluster.at(0), { user: 'steady', clientId: 'steady' })
    const counter = await createCounter(cluster, 1)
    const first = await resume(cluster, 0, 'sleeper')
    await first.subscribe([{ topic: 'news/#', qos: 1 }])
    await counter.publish(1)
    await within(3000, 'the first one', first.first(1))
    cluster.at(0).kill('SIGSTOP')
    await pause(11_000)
    await counter.publish(1)
    cluster.at(0).kill('SIGCONT')
    // The others have its session now: it is told to connect again.
    expect(await within(5000, 'the end', first.closed)).to.equal(0x89)
    const back = await resume(cluster, 0, 'sleeper')
    expect(back.connack.sessionPresent).to.equal(true)
    await eventually('what was missed', () => numbersOf([back]).includes(1))
    await pause(500)
    await reader.caughtUp()
    // What was acknowledged in the last moment may come again, but in its place.
    expect(numbersOf([back]).filter((n) => n > 0)).to.deep.equal([1])
    expect(numbersOf([back])).to.deep.equal(numbersOf([back]).toSorted((a, b) => a - b))
    expect(reader.messages.filter(isOffline('steady'))).to.deep.equal([])
    await steady.say({ status: 'away' })
    await reader.find(({ topic, text }) => topic.endsWith('/steady') && text.includes('"away"'))
  })
})
