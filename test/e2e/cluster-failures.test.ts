import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { startCluster } from '../helpers/cluster.ts'
import { setScene, type Scene } from '../helpers/cluster-scene.ts'
import { describeTogether } from '../helpers/concurrently.ts'
import { connectPeer } from '../helpers/mqtt-peer.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { readRetained, watch } from '../helpers/presence-reader.ts'
import type { Program } from '../helpers/process.ts'
import { eventually, within } from '../helpers/within.ts'

const BROKER_GRACE_MS = 3000
const FLAGS = ['--grace-broker', `${BROKER_GRACE_MS}ms`, '--grace-closed', '4s']

/** How long after a kill its users may be shown, as the documents promise; and what a busy machine adds. */
const MISSED_MS = 10_000
const BUSY_MS = 3000

describeTogether('brokers that share presence', 80_000, (scenario) => {
  scenario('one is killed: who comes back is not missed, the others are, in time', async () => {
    const will = (user: string) => ({
      connect: { will: { topic: `wills/${user}`, payload: Buffer.from('gone'), qos: 1 as const } },
    })
    const scene = await setScene({ servers: 3, visitors: 15, flags: FLAGS, visitor: will })
    const reader = await connectPeer(scene.cluster.at(1).mqttPort, { version: 5 })
    reader.acknowledge()
    await reader.subscribe([{ topic: 'wills/#', qos: 1 }])
    const there = scene.visitorsAt(0)
    const gone = there.slice(0, 3)
    const staying = scene.visitors.filter((visitor) => !gone.includes(visitor))
    for (const visitor of gone) visitor.giveUp()
    const killedAt = performance.now()
    scene.cluster.at(0).kill('SIGKILL')
    const survivors = scene.observers.slice(1)
    await scene.untilExact(staying, MISSED_MS + BROKER_GRACE_MS + BUSY_MS, survivors)
    for (const { user } of gone) {
      for (const { offlineAt } of survivors) {
        const after = (offlineAt.get(user) ?? Infinity) - killedAt
        expect(after).to.be.within(BROKER_GRACE_MS, MISSED_MS + BROKER_GRACE_MS + BUSY_MS)
      }
    }
    expect(scene.shown(staying)).to.deep.equal([])
    expect(there.slice(3).map(({ losses }) => losses > 0)).to.deep.equal([true, true])
    expect(await bridgesAt(scene, 1)).to.equal(2)
    // The wills of those who are gone come once, by one of the survivors; the others' do not come.
    const last = await connectPeer(scene.cluster.at(2).mqttPort)
    last.publish({ topic: 'wills/end', qos: 1 })
    const wills = await within(5000, 'the last one', reader.until('wills/end'))
    expect(wills.map(({ topic }) => topic).toSorted()).to.deep.equal(
      gone.map(({ user }) => `wills/${user}`).toSorted(),
    )
  })

  scenario(
    'wills that are delayed come in time, once, when their brokers stop or are killed',
    async () => {
      const cluster = await startCluster(3)
      const reader = await connectPeer(cluster.at(2).mqttPort, { version: 5 })
      reader.acknowledge()
      await reader.subscribe([{ topic: 'wills/#', qos: 1 }])

      async function come(index: number, clientId: string, willDelayInterval: number) {
        const will = { topic: `wills/${clientId}`, payload: Buffer.from('gone'), qos: 1 as const }
        return connectPeer(cluster.at(index).mqttPort, {
          version: 5,
          clientId,
          clean: false,
          properties: { sessionExpiryInterval: 300 },
          will: { ...will, retain: false, properties: { willDelayInterval } },
        })
      }

      const expected: string[] = []
      for (const [index, fault] of ['stopped', 'killed'].entries()) {
        await come(index, `${fault}-up`, 3)
        const gone = await come(index, `${fault}-gone`, 8)
        const back = await come(index, `${fault}-back`, 8)
        const goodbye = await come(index, `${fault}-goodbye`, 8)
        gone.stream.destroy()
        back.stream.destroy()
        goodbye.send({ cmd: 'disconnect' })
        await goodbye.closed
        expected.push(`wills/${fault}-up`, `wills/${fault}-gone`)
      }
      await pause(500)
      cluster.at(0).kill('SIGTERM')
      cluster.at(1).kill('SIGKILL')
      await pause(500)
      await come(2, 'stopped-back', 8)
      await come(2, 'killed-back', 8)
      const topics = (): string[] => reader.messages.map(({ topic }) => topic)
      const isThere = (): boolean => expected.every((topic) => topics().includes(topic))
      await eventually('the wills', isThere, 25_000)
      // Nobody else's, and none twice.
      await pause(9000)
      expect(topics().toSorted()).to.deep.equal(expected.toSorted())
    },
  )

  scenario('all are restarted one after the other under load: nobody is missed', async () => {
    const scene = await setScene({ servers: 3, visitors: 60, flags: ['--grace-broker', '8s'] })
    let isOver = false
    const load = (async (): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        for (const { client, isConnected } of scene.visitors) {
          if (isConnected) client.publish(`chat/${n % 20}`, `message ${n}`, { qos: n % 2 ? 1 : 0 })
        }
        await pause(200)
      }
    })()
    for (const index of [0, 1, 2]) {
      await scene.cluster.restart(index)
      const isBack = (): boolean => scene.visitors.every(({ isConnected }) => isConnected)
      await eventually('everybody is back', isBack, 10_000)
    }
    expect(scene.visitors.filter(({ losses }) => losses > 0)).to.have.length.above(50)
    await pause(9000)
    isOver = true
    await load
    await scene.untilExact(scene.visitors, 10_000)
    expect(scene.shown(scene.visitors)).to.deep.equal([])
  })

  scenario('one is stopped for a while: nobody is missed, and it catches up', async () => {
    const scene = await setScene({ servers: 2, visitors: 10, flags: FLAGS })
    const reader = await connectPeer(scene.cluster.at(0).mqttPort, { version: 5 })
    reader.acknowledge()
    await reader.subscribe([{ topic: 'news/#', qos: 1 }])
    const publisher = await connectPeer(scene.cluster.at(1).mqttPort, { version: 5 })
    const [leaver, ...others] = scene.visitorsAt(1)
    expect(await bridgesAt(scene, 1)).to.equal(2)
    scene.cluster.at(0).kill('SIGSTOP')
    const sent: string[] = []
    for (let i = 0; i < 60; i++) {
      sent.push(String(i))
      publisher.publish({ topic: 'news/1', payload: String(i), qos: i % 2 ? 1 : 0 })
      await pause(100)
    }
    await leaver?.leave()
    scene.cluster.at(0).kill('SIGCONT')
    publisher.publish({ topic: 'news/end', qos: 1 })
    const news = await within(10_000, 'the last one', reader.until('news/end'))
    expect(news.map(({ payload }) => String(payload))).to.deep.equal(sent)
    await eventually('both bridges are there', async () => (await bridgesAt(scene, 1)) === 2)
    const staying = [...scene.visitorsAt(0), ...others]
    await scene.untilExact(staying, 10_000)
    // By now every deadline that could have begun is over.
    await pause(BROKER_GRACE_MS + 1000)
    expect(scene.shown(staying)).to.deep.equal([])
    expect(staying.map(({ losses }) => losses)).to.deep.equal(staying.map(() => 0))
  })
})

describe('a broker that is stuck when a grace ends, among others', function () {
  this.timeout(40_000)

  it('may have taken its client back; who does not come is offline then', async () => {
    const cluster = await startCluster(2, { flags: ['--grace-closed', '2s'] })
    const reader = await watch(cluster.at(1), 'presence/users/+/status')
    const back = await connectClient(cluster.at(0), { user: 'back', clientId: 'back' })
    const gone = await connectClient(cluster.at(0), { user: 'gone', clientId: 'gone' })
    await reader.find('presence/users/back/status')
    await reader.find('presence/users/gone/status')
    back.cut()
    gone.cut()
    await pause(1700)
    cluster.at(0).kill('SIGSTOP')
    const returned = connectClient(cluster.at(0), { user: 'back', clientId: 'back' })
    await pause(3000)
    const isOffline = ({ text }: { readonly text: string }): boolean => text === 'offline'
    expect(reader.messages.filter(isOffline)).to.deep.equal([])
    cluster.at(0).kill('SIGCONT')
    const continued = performance.now()
    await returned
    const offline = await reader.find(isOffline)
    expect(offline.topic).to.equal('presence/users/gone/status')
    expect(offline.at - continued).to.be.below(4000)
    await pause(1000)
    expect(reader.messages.filter(isOffline)).to.have.length(1)
  })
})

/** How many bridges are said to be there. */
async function bridgesAt({ cluster }: Scene, index: number): Promise<number> {
  return (await readRetained(cluster.at(index), 'presence/bridges/+')).size
}

/** How Redis goes, and how it comes back. */
interface Outage {
  readonly begin: (scene: Scene) => Promise<unknown> | void
  readonly end: (scene: Scene) => Promise<unknown> | void
}

const OUTAGES: Readonly<Record<string, Outage>> = {
  'is stopped': {
    begin: ({ cluster }) => cluster.redis.signal('SIGSTOP'),
    end: ({ cluster }) => cluster.redis.signal('SIGCONT'),
  },
  'is killed and comes back with its data': {
    begin: ({ cluster }) => cluster.redis.kill(),
    end: ({ cluster }) => cluster.redis.restart('with data'),
  },
  'is killed and comes back empty': {
    begin: ({ cluster }) => cluster.redis.kill(),
    end: ({ cluster }) => cluster.redis.restart('empty'),
  },
}

describeTogether('brokers whose Redis', 60_000, (scenario) => {
  for (const [title, outage] of Object.entries(OUTAGES)) {
    scenario(`${title}: connections live on, and all is made up for`, () => survive(outage))
  }
})

/**
 * While Redis is away, readers of the same broker go on getting messages; one visitor leaves, one loses the
 * connection and comes back; what is published and retained is told to the others later.
 */
async function survive({ begin, end }: Outage): Promise<void> {
  const scene = await setScene({ servers: 2, visitors: 10, flags: FLAGS })
  const { cluster, visitors } = scene
  const [here, there] = [cluster.at(0), cluster.at(1)]
  const connect = async (port: number) => {
    const peer = await connectPeer(port, { version: 5 })
    peer.acknowledge()
    await peer.subscribe([{ topic: 'news/#', qos: 1 }])
    return peer
  }
  const near = await connect(here.mqttPort)
  const far = await connect(there.mqttPort)
  const publisher = await connectPeer(here.mqttPort, { version: 5 })
  publisher.publish({ topic: 'news/cleared', payload: 'x', qos: 1, retain: true })
  publisher.publish({ topic: 'news/changed', payload: 'before', qos: 1, retain: true })
  await Promise.all([near.first(2), far.first(2)])
  for (const peer of [near, far]) peer.forget()

  await begin(scene)
  const saysWhy = async ({ httpPort }: Program): Promise<boolean> => {
    const { status, body } = await readiness(httpPort)
    return status === 503 && body.includes('Redis does not answer')
  }
  for (const server of cluster.servers) {
    await eventually('not ready, and why', () => saysWhy(server), 8000)
  }
  const [leaver, cutter, ...others] = visitors
  await leaver?.leave()
  cutter?.cut()
  const sent = Array.from({ length: 40 }, (_, i) => String(i))
  for (const [i, payload] of sent.entries()) {
    publisher.publish({ topic: 'news/1', payload, qos: i % 2 ? 1 : 0 })
  }
  publisher.publish({ topic: 'news/cleared', payload: '', qos: 1, retain: true })
  publisher.publish({ topic: 'news/changed', payload: 'after', qos: 1, retain: true })
  publisher.publish({ topic: 'news/end', qos: 1 })
  const local = await within(3000, 'local delivery goes on', near.until('news/end'))
  expect(local.filter(({ topic }) => topic === 'news/1').map(textOf)).to.deep.equal(sent)
  await pause(3000)
  expect(far.messages).to.deep.equal([])

  await end(scene)
  const late = await within(10_000, 'the others are told', far.until('news/end'))
  expect(late.filter(({ topic }) => topic === 'news/1').map(textOf)).to.deep.equal(sent)
  const staying = [...others, ...(cutter ? [cutter] : [])]
  await scene.untilExact(staying, 10_000)
  for (const server of cluster.servers) {
    await eventually('ready', async () => (await readiness(server.httpPort)).status === 200, 10_000)
    const reader = await connectPeer(server.mqttPort, { version: 5 })
    await reader.subscribe([{ topic: 'news/#', qos: 0 }])
    publisher.publish({ topic: 'news/marker', qos: 0 })
    const retained = await within(5000, 'the marker', reader.until('news/marker'))
    const kept = retained.filter(({ retain }) => retain)
    expect(kept.map((one) => `${one.topic} ${textOf(one)}`)).to.deep.equal(['news/changed after'])
    reader.stream.destroy()
  }
  expect(scene.shown(staying)).to.deep.equal([])
  expect(others.map(({ losses }) => losses)).to.deep.equal(others.map(() => 0))
}

function textOf({ payload }: { readonly payload: Buffer | string }): string {
  return String(payload)
}

async function readiness(port: number): Promise<{ status: number; body: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
  return { status: answer.status, body: await answer.text() }
}
