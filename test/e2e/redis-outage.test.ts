import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { startBridgeProcess, type BridgeProcess } from '../helpers/bridge-process.ts'
import {
  connectDevices,
  foldOutput,
  untilTrue,
  type Devices,
  type Fold,
} from '../helpers/devices.ts'
import { startMosquitto } from '../helpers/mosquitto.ts'
import { startRedis, type RedisServer } from '../helpers/redis.ts'
import { startSlowProxy } from '../helpers/slow-proxy.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

const GRACE = { closed: 2000, broker: 4000 }
/** How long Redis is away, in milliseconds; longer by option. */
const OUTAGE_MS = Number(process.env['REDIS_OUTAGE_MS'] ?? 6000)

/** What a test of an outage begins with: everybody is in the lobby. */
interface Scene {
  readonly redis: RedisServer
  readonly bridge: BridgeProcess
  readonly fold: Fold
  readonly devices: Devices
}

describe('a bridge whose Redis fails', function () {
  this.timeout(60_000 + OUTAGE_MS)

  async function begin(delayMs?: () => number): Promise<Scene> {
    const redis = await startRedis()
    onTeardown(() => redis.close())
    const broker = await startMosquitto()
    onTeardown(() => broker.close())
    const port = delayMs ? await startSlowProxy(redis.port, delayMs) : redis.port
    const url = `redis://127.0.0.1:${port}`
    const bridge = await startBridgeProcess({
      id: 'a',
      broker: broker.url,
      redis: url,
      grace: GRACE,
    })
    await eventually('ready', () => isReady(bridge))
    const fold = await foldOutput(broker.url)
    const devices = await connectDevices(broker.url, 30)
    for (const user of devices.users) devices.say(user, ['lobby'])
    await devices.said()
    await untilTrue(fold, devices, 10_000)
    return { redis, bridge, fold, devices }
  }

  async function isReady(bridge: BridgeProcess): Promise<boolean> {
    return (await bridge.metrics())['ready'] === 1
  }

  /**
   * While Redis is away some devices close and come back, some close for good, some change rooms, and
   * some had closed just before; whoever stays or comes back never blinks.
   */
  async function failFor(ms: number, scene: Scene, end: () => Promise<void>): Promise<void> {
    const { bridge, devices, fold } = scene
    const [early, gone, back, moved] = devices.users
    if (!early || !gone || !back || !moved) throw new Error('too few devices')
    await eventually('not ready', async () => !(await isReady(bridge)), 4000)
    devices.say(gone, 'closed')
    devices.say(back, 'closed')
    devices.say(moved, ['attic'])
    await devices.said()
    await pause(ms)
    expect(fold.retained.get('presence/bridge/status')).to.equal('offline')
    devices.say(back, ['lobby'])
    devices.say(early, ['lobby'])
    await devices.said()
    await end()
    await untilTrue(fold, devices, 10_000)
    expect([...fold.offlineAt.keys()]).to.deep.equal([gone])
    expect(fold.faults).to.deep.equal([])
    await eventually('ready again', () => isReady(bridge))
    const isFresh = (): boolean => fold.retained.get('presence/bridge/status') === 'online'
    await eventually('presence is fresh', isFresh)
  }

  function closeOne({ devices }: Scene): Promise<void> {
    devices.say(devices.users[0] ?? '', 'closed')
    return devices.said()
  }

  it('declares nobody offline who is not, when Redis was stopped', async () => {
    const scene = await begin()
    await closeOne(scene)
    await pause(300)
    scene.redis.signal('SIGSTOP')
    await failFor(OUTAGE_MS, scene, async () => scene.redis.signal('SIGCONT'))
  })

  it('nor when Redis was killed and comes back with its data', async () => {
    const scene = await begin()
    await closeOne(scene)
    await pause(300)
    await scene.redis.kill()
    await failFor(OUTAGE_MS, scene, () => scene.redis.restart('with data'))
  })

  it('nor when Redis was killed and comes back empty', async () => {
    const scene = await begin()
    await closeOne(scene)
    await pause(300)
    await scene.redis.kill()
    await failFor(OUTAGE_MS, scene, () => scene.redis.restart('empty'))
  })

  it('works on while Redis is slow', async () => {
    let delay = 0
    const { bridge, fold, devices } = await begin(() => delay)
    delay = 150
    for (let round = 0; round < 5; round++) {
      for (const [i, user] of devices.users.entries()) {
        devices.say(user, i % 5 === round ? 'left' : ['lobby', `room-${round}`])
      }
      await devices.said()
      await pause(500)
    }
    expect(await isReady(bridge)).to.equal(true)
    await untilTrue(fold, devices, 10_000)
    expect(fold.faults).to.deep.equal([])
  })
})
