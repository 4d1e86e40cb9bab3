import { expect } from 'chai'
import { createRedisStore, type Store } from '../../bridge/index.ts'
import { startBridgeProcess } from '../helpers/bridge-process.ts'
import {
  connectDevices,
  foldOutput,
  miscounted,
  untilTrue,
  type Devices,
} from '../helpers/devices.ts'
import { startMosquitto, type Mosquitto } from '../helpers/mosquitto.ts'
import { watch } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis, type RedisServer } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

const ROOMS = ['lobby', 'attic', 'cellar']
const GRACE = { closed: 1000, broker: 2000 }

describe('two bridges on one Redis and one broker', function () {
  this.timeout(60_000)
  let redis: RedisServer
  let broker: Mosquitto

  beforeEach(async () => {
    redis = await startRedis()
    onTeardown(() => redis.close())
    broker = await startMosquitto()
    onTeardown(() => broker.close())
  })

  function startBridge(id: string) {
    return startBridgeProcess({ id, broker: broker.url, redis: redis.url, grace: GRACE })
  }

  async function openStore(): Promise<Store> {
    const store = await createRedisStore({ url: redis.url })
    onTeardown(() => store.close())
    return store
  }

  /** Everybody comes, goes and changes rooms, as often as there are rounds. */
  async function storm(
    devices: Devices,
    rounds: number,
    seed: number,
    inRound: (n: number) => void = () => {},
  ) {
    const random = createRandom(seed)
    for (let round = 0; round < rounds; round++) {
      inRound(round)
      for (const user of devices.users) {
        const rooms = ROOMS.filter(() => random.chance(0.5))
        devices.say(user, random.chance(0.6) ? rooms : 'left')
      }
      await devices.said()
    }
  }

  it('apply every document once, whatever the interleaving, and end at the truth', async () => {
    await Promise.all([startBridge('a'), startBridge('b')])
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 40)
    await storm(devices, 40, 1)
    await untilTrue(fold, devices, 20_000)
    expect(fold.faults).to.deep.equal([])
    expect(await miscounted(await openStore(), devices)).to.deep.equal([])
  })

  it('do so when one of them is stopped for a while and catches up', async () => {
    const [a] = await Promise.all([startBridge('a'), startBridge('b')])
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 40)
    await storm(devices, 40, 2, (round) => {
      if (round === 5) a.kill('SIGSTOP')
      if (round === 30) a.kill('SIGCONT')
    })
    await untilTrue(fold, devices, 15_000)
    expect(fold.faults).to.deep.equal([])
    expect(await miscounted(await openStore(), devices)).to.deep.equal([])
  })

  it('lose nothing when one is killed in the middle of a storm', async () => {
    const [a] = await Promise.all([startBridge('a'), startBridge('b')])
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 40)
    await storm(devices, 40, 3, (round) => {
      if (round === 20) a.kill('SIGKILL')
    })
    await untilTrue(fold, devices, 20_000)
    const store = await openStore()
    expect(await miscounted(store, devices)).to.deep.equal([])
    await eventually(
      'nothing is left half done',
      async () => {
        const [users, rooms] = [await store.dirtyUsers(), await store.dirtyRooms()]
        return users.length + rooms.length === 0
      },
      20_000,
    )
    expect(fold.retained.get('presence/bridge/status')).to.equal('online')
  })

  it('keep a grace that began in the one that died', async () => {
    const [a] = await Promise.all([startBridge('a'), startBridge('b')])
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 10)
    for (const user of devices.users) devices.say(user, ['lobby'])
    await devices.said()
    await untilTrue(fold, devices)
    for (const user of devices.users) devices.say(user, 'closed')
    await devices.said()
    const closedAt = performance.now()
    a.kill('SIGKILL')
    await untilTrue(fold, devices, 10_000)
    for (const at of fold.offlineAt.values()) {
      expect(at - closedAt).to.be.within(GRACE.closed - 100, GRACE.closed + 1500)
    }
    expect(fold.faults).to.deep.equal([])
  })

  it('have a topic each, which the other one clears when one dies or is stuck', async () => {
    const [a, b] = await Promise.all([startBridge('a'), startBridge('b')])
    const { retained } = await foldOutput(broker.url)
    const there = (): string =>
      ['a', 'b'].filter((id) => retained.get(`presence/bridges/${id}`) === 'online').join()
    await eventually('both are there', () => there() === 'a,b')
    a.kill('SIGSTOP')
    await eventually('the one that is stuck is not', () => there() === 'b', 10_000)
    a.kill('SIGCONT')
    await eventually('it contradicts', () => there() === 'a,b')
    b.kill('SIGKILL')
    await eventually('the one that has died is not there', () => there() === 'a', 10_000)
    await startBridge('b')
    await eventually('it is again, under the same name', () => there() === 'a,b')
    await new Promise((resolve) => setTimeout(resolve, 8000))
    expect(there()).to.equal('a,b')
  })

  it('let deadlines run while one of them is stopped: the other one hears', async () => {
    const [a] = await Promise.all([startBridge('a'), startBridge('b')])
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 3)
    for (const user of devices.users) devices.say(user, ['lobby'])
    await devices.said()
    await untilTrue(fold, devices)
    a.kill('SIGSTOP')
    for (const user of devices.users) devices.say(user, 'closed')
    await devices.said()
    const closedAt = performance.now()
    await untilTrue(fold, devices, 10_000)
    // The one that is stopped may have been publishing the room, which is its own for two seconds.
    expect(performance.now() - closedAt).to.be.below(GRACE.closed + 4000)
    a.kill('SIGCONT')
    await eventually('the other one is ready again', async () => (await a.metrics())['ready'] === 1)
    expect(fold.faults).to.deep.equal([])
  })

  it('move deadlines by the time in which both were stopped, once', async () => {
    const both = await Promise.all([startBridge('a'), startBridge('b')])
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 10)
    for (const user of devices.users) devices.say(user, ['lobby'])
    await devices.said()
    await untilTrue(fold, devices)
    const [back, ...gone] = devices.users
    for (const user of devices.users) devices.say(user, 'closed')
    await devices.said()
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (const bridge of both) bridge.kill('SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 3000))
    for (const bridge of both) bridge.kill('SIGCONT')
    const continuedAt = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 300))
    devices.say(back ?? '', ['lobby'])
    await devices.said()
    await untilTrue(fold, devices, 10_000)
    expect(fold.offlineAt.has(back ?? '')).to.equal(false)
    for (const user of gone) {
      expect((fold.offlineAt.get(user) ?? 0) - continuedAt).to.be.within(300, GRACE.closed + 2000)
    }
    expect(fold.faults).to.deep.equal([])
  })
})

describe('two bridges on one Redis and a broker of ours', function () {
  this.timeout(30_000)

  it('say that presence is not fresh when both have gone, and not before', async () => {
    const redis = await startRedis()
    onTeardown(() => redis.close())
    const ours = await startProgram({ command: 'broker' })
    const flags = ['--redis', redis.url, '--broker', `mqtt://127.0.0.1:${ours.mqttPort}`]
    const startOne = (id: string): Promise<Program> =>
      startProgram({ command: 'bridge', flags: [...flags, '--bridge-id', id] })
    const [a, b] = await Promise.all([startOne('a'), startOne('b')])
    const reader = await watch(ours, 'presence/bridge/status')
    expect((await reader.find('presence/bridge/status')).text).to.equal('online')
    a.kill('SIGKILL')
    await a.exited
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(reader.messages.filter(({ text }) => text !== 'online')).to.deep.equal([])
    b.kill('SIGKILL')
    await reader.find(({ text }) => text === 'offline')
  })
})
