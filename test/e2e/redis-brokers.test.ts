import { expect } from 'chai'
import {
  createBridge,
  createRedisStore,
  type Bridge,
  type Link,
  type LinkMessage,
  type Store,
} from '../../bridge/index.ts'
import type { Broker } from '../../broker/index.ts'
import { connectPeer, type MqttPeer } from '../helpers/mqtt-peer.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTcpBroker, type TcpBroker } from '../helpers/tcp-broker.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

const GRACE = { closed: 3000, broker: 6000 }
const ROOMS = ['lobby', 'attic', 'cellar']
const USERS = Array.from({ length: 12 }, (_, i) => `user-${i}`)

/** What a bridge beside a broker hears: that broker's documents, and everybody's heartbeats. */
function ownLink(own: Broker, others: readonly Broker[]): Link {
  const link = own.link()
  return {
    ...link,
    async open(filters, handlers) {
      await link.open(filters, handlers)
      const silent = { ...handlers, onUp: async () => {} }
      for (const other of others) await other.link().open(['presence/brokers/+'], silent)
    },
  }
}

/** What a bridge of its own hears: everything, and later than the others do. */
function lateLink(brokers: readonly Broker[], delayMs: number): Link {
  const links = brokers.map((broker) => broker.link())
  return {
    async readRetained(filters) {
      return (await Promise.all(links.map((link) => link.readRetained(filters)))).flat()
    },
    async open(filters, handlers) {
      await handlers.onUp(false)
      const onUp = async (): Promise<void> => {}
      for (const link of links) {
        let before = Promise.resolve()
        const onMessage = async (message: LinkMessage): Promise<void> => {
          const late = new Promise((resolve) => setTimeout(resolve, delayMs))
          before = before.then(() => late).then(() => void handlers.onMessage(message))
        }
        await link.open(filters, { onUp, onDown() {}, onMessage })
      }
    },
    async publish(topic, payload, options) {
      await Promise.all(links.map((link) => link.publish(topic, payload, options)))
    },
    async close() {
      await Promise.all(links.map((link) => link.close()))
    },
  }
}

describe('two brokers with a bridge each, on one Redis', function () {
  this.timeout(60_000)
  let first: TcpBroker
  let second: TcpBroker
  let store: Store
  let bridges: Bridge[]

  /** @param behindMs by how much a bridge is behind that hears both brokers; undefined: there is none */
  async function begin(behindMs?: number): Promise<void> {
    const redis = await startRedis()
    onTeardown(() => redis.close())
    const openStore = async (): Promise<Store> => {
      const opened = await createRedisStore({ url: redis.url })
      onTeardown(() => opened.close())
      return opened
    }
    first = await startTcpBroker()
    second = await startTcpBroker()
    store = await openStore()
    const [a, b] = [first.broker, second.broker]
    const setups = [
      { link: ownLink(a, [b]), scope: { broker: a.id } },
      { link: ownLink(b, [a]), scope: { broker: b.id } },
      ...(behindMs === undefined ? [] : [{ link: lateLink([a, b], behindMs) }]),
    ]
    bridges = []
    for (const [i, setup] of setups.entries()) {
      const bridge = await createBridge({
        ...setup,
        id: `bridge-${i}`,
        store: await openStore(),
        grace: GRACE,
      })
      onTeardown(() => bridge.close())
      bridges.push(bridge)
    }
    await eventually('ready', () => bridges.every(({ ready }) => ready))
    for (const broker of [first, second]) await untilEndsCount(broker)
  }

  /** A bridge that has just come waits with ends for a moment: a short stay would be part of a longer one. */
  async function untilEndsCount(broker: TcpBroker): Promise<void> {
    const probe = `probe-${broker.port}`
    const peer = await connect(broker, probe)
    for (const room of ['lobby', 'attic']) await say(peer, probe, room, 1)
    const isIn = async (room: string): Promise<boolean> =>
      (await store.roomMembers(room)).some(({ user }) => user === probe)
    await eventually('it has come', () => isIn('attic'))
    await eventually('it has left the lobby', async () => !(await isIn('lobby')))
    peer.stream.destroy()
  }

  function connect({ port }: TcpBroker, user: string): Promise<MqttPeer> {
    return connectPeer(port, { username: user, clientId: user })
  }

  async function say(peer: MqttPeer, user: string, room: string, qos: 1 | 2): Promise<void> {
    const payload = JSON.stringify({ status: 'online', rooms: { [room]: {} } })
    const topic = `presence/connections/${user}/${user}`
    const message = { cmd: 'publish', topic, payload, retain: false, dup: false } as const
    const packet = { ...message, qos, messageId: 7 }
    if (qos === 1) return void (await peer.request(packet, 'puback'))
    await peer.request(packet, 'pubrec')
    await peer.request({ cmd: 'pubrel', messageId: 7 }, 'pubcomp')
  }

  /** In which rooms somebody was, one after the other. */
  async function stays(user: string): Promise<string[]> {
    const entries = await Promise.all(
      ROOMS.map(async (room) => (await store.roomActivity(room, 0)).entries),
    )
    const joins = entries.flat().filter((entry) => entry.user === user && entry.to === 'joined')
    return joins.toSorted((x, y) => x.at - y.at).map(({ room }) => room ?? '')
  }

  /** Everybody moves from broker to broker and from room to room; tells where they should have been. */
  async function roam(): Promise<ReadonlyMap<string, readonly string[]>> {
    const random = createRandom(5)
    const wanted = new Map<string, string[]>(USERS.map((user) => [user, []]))
    const move = async (user: string, rooms: string[]): Promise<void> => {
      let old: MqttPeer | undefined
      for (let round = 0; round < 6; round++) {
        // As often as not the old connection ends before the new one is there.
        const isFirst = random.chance(0.5)
        if (isFirst) old?.stream.destroy()
        const peer = await connect(round % 2 === 0 ? first : second, user)
        for (let n = 0; n < 4; n++) {
          const room = random.pick(ROOMS.filter((name) => name !== rooms.at(-1)))
          rooms.push(room)
          await say(peer, user, room, random.pick([1, 2]))
          // The time of a join tells its place.
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        if (!isFirst) old?.stream.destroy()
        old = peer
        // Who moves while a bridge has yet to apply its last words does not say them any more.
        const count = rooms.length
        await eventually(
          'its words count',
          async () => (await stays(user)).length === count,
          20_000,
        )
      }
    }
    await Promise.all(Array.from(wanted, ([user, rooms]) => move(user, rooms)))
    return wanted
  }

  async function expectStays(wanted: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const user of USERS) {
      const { entries } = await store.userActivity(user, 0)
      const transitions = entries.map(({ to }) => to)
      expect(transitions, user).to.deep.equal(['online'])
      expect(await stays(user), user).to.deep.equal(wanted.get(user))
    }
  }

  it('apply every document once, though each hears one broker only', async () => {
    await begin()
    await expectStays(await roam())
  })

  it('and so does a bridge beside them that hears both, and is late', async () => {
    const behindMs = 300
    await begin(behindMs)
    const wanted = await roam()
    await eventually(
      'it has heard all',
      () => {
        const [a = 0, b = 0, both = 0] = bridges.map((bridge) => bridge.metrics()['documents'])
        return both >= a + b
      },
      20_000,
    )
    await new Promise((resolve) => setTimeout(resolve, behindMs))
    await expectStays(wanted)
  })
})
