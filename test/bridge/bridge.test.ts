import { expect } from 'chai'
import { createBridge, createMemoryStore, type BridgeOptions } from '../../bridge/index.ts'
import { resolveOptions } from '../../bridge/options.ts'
import { ManualClock, settle } from '../helpers/manual-clock.ts'
import { MemoryLink } from '../helpers/memory-link.ts'
import { iso, World } from './world.ts'

const rooms = { lobby: 1 }

describe('a bridge that forgets', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start({ retainedOfflineMs: 60_000 })
  })
  afterEach(() => world.bridge.close())

  it('clears an offline user’s topics when its time is up', async () => {
    await world.online('ann/tab', 'c1')
    await world.ended('ann/tab', 'c1', 'left')
    await world.wait(59)
    expect(world.retained('users/ann/status')).to.equal('offline')
    world.take()
    await world.wait(2)
    expect(world.take()).to.deep.equal(['users/ann', 'users/ann/status'])
    expect(world.shown()).to.deep.equal({})
  })

  it('keeps a user that came back', async () => {
    await world.online('ann/tab', 'c1')
    await world.ended('ann/tab', 'c1', 'left')
    await world.wait(50)
    await world.online('ann/tab', 'c2')
    await world.wait(120)
    expect(world.retained('users/ann/status')).to.equal('online')
  })

  it('tries again when the topics could not be cleared', async () => {
    await world.online('ann/tab', 'c1')
    await world.ended('ann/tab', 'c1', 'left')
    world.link.fate = () => 'refused'
    await world.wait(70)
    world.link.fate = () => undefined
    expect(world.retained('users/ann/status')).to.equal('offline')
    await world.wait(60)
    expect(world.shown()).to.deep.equal({})
  })

  for (const [when, cleared] of [
    ['cleared its topics', []],
    ['cleared all of them', ['users/ann']],
    ['knew that they are cleared', ['users/ann', 'users/ann/status']],
  ] as const) {
    it(`leaves nothing to readers for ever when it dies before it has ${when}`, async () => {
      const store = createMemoryStore({ now: () => world.clock.now() })
      const first = await world.restart(0, { store })
      await first.online('ann/tab', 'c1')
      await first.ended('ann/tab', 'c1', 'left')
      await first.wait(50)
      first.link.fate = () => 'lost'
      await first.wait(20)
      first.link.kill()
      for (const topic of cleared) first.link.retained.delete(`presence/${topic}`)
      const later = await first.restart(0)
      await later.wait(65)
      expect(later.shown()).to.deep.equal({})
      expect(await store.allUsers()).to.deep.equal([])
      await first.bridge.close()
      await later.bridge.close()
    })
  }

  it('shows a user again that comes back while its topics are cleared', async () => {
    await world.online('ann/tab', 'c1')
    await world.ended('ann/tab', 'c1', 'left')
    await world.wait(58)
    // What clears the topics reaches the broker after what shows the user, as that of another bridge may.
    const publish = world.link.publish.bind(world.link)
    const late: (() => void)[] = []
    world.link.publish = async (topic, payload, options) => {
      if (payload === '') await new Promise<void>((resolve) => late.push(resolve))
      return publish(topic, payload, options)
    }
    await world.wait(4)
    expect(late).to.have.length(2)
    await world.online('ann/tab', 'c2')
    for (const send of late) send()
    await world.wait(300)
    expect(world.retained('users/ann')).to.include({ status: 'online' })
    expect(world.retained('users/ann/status')).to.equal('online')
  })

  it('says nothing of who was never there', async () => {
    await world.ended('eve/tab', 'c9', 'closed')
    await world.wait(120)
    expect(world.take()).to.deep.equal([])
  })

  it('clears an empty room’s topics, and keeps size 0 until then', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('ann/tab', 'c1', { rooms: {} })
    await world.wait(50)
    expect(world.retained('rooms/lobby')).to.include({ size: 0 })
    expect(world.retained('rooms/lobby/count')).to.equal('0')
    await world.wait(30)
    expect(world.retained('rooms/lobby')).to.equal(undefined)
    expect(world.retained('rooms/lobby/count')).to.equal(undefined)
  })

  it('clears an empty room’s topics once the link is back', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('ann/tab', 'c1', { rooms: {} })
    await world.wait(1)
    world.link.goDown()
    await world.clock.advance(300_000)
    await world.link.comeUp()
    await world.wait(20)
    expect(world.retained('rooms/lobby')).to.equal(undefined)
  })

  it('tries again when a room’s topics could not be cleared', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('ann/tab', 'c1', { rooms: {} })
    await world.wait(50)
    world.link.fate = ({ payload }) => (payload === '' ? 'refused' : undefined)
    await world.wait(30)
    expect(world.retained('rooms/lobby')).to.include({ size: 0 })
    world.link.fate = () => undefined
    await world.wait(90)
    expect(world.retained('rooms/lobby')).to.equal(undefined)
    expect(world.retained('rooms/lobby/count')).to.equal(undefined)
  })

  it('clears the topics of a room that became empty while the link was down for long', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.ended('ann/tab', 'c1', 'closed')
    world.link.goDown()
    await world.clock.advance(300_000)
    await world.link.comeUp()
    await world.wait(90)
    expect(world.retained('rooms/lobby')).to.equal(undefined)
    expect(world.retained('rooms/lobby/count')).to.equal(undefined)
  })

  it('shows a room that is joined again before it was cleared', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('ann/tab', 'c1', { rooms: {} })
    await world.wait(50)
    const publish = world.link.publish.bind(world.link)
    const late: (() => void)[] = []
    world.link.publish = async (topic, payload, options) => {
      if (payload === '') await new Promise<void>((resolve) => late.push(resolve))
      return publish(topic, payload, options)
    }
    await world.wait(30)
    expect(late).to.have.length(2)
    await world.online('bob/tab', 'c2', { rooms })
    for (const send of late) send()
    await world.wait(1)
    expect(world.retained('rooms/lobby')).to.include({ size: 1 })
    expect(world.retained('rooms/lobby/count')).to.equal('1')
  })

  it('shows a room that is joined again while empty ones are cleared', async () => {
    for (let i = 0; i < 30; i++) {
      await world.online('ann/tab', 'c1', { rooms: { [`r${i}`]: 1 } })
    }
    await world.online('ann/tab', 'c1', { rooms: {} })
    for (let second = 0; second < 90; second++) {
      await world.online('bob/tab', 'c2', { rooms: { [`r${second % 30}`]: 1 } })
      await world.wait(1)
      expect(world.retained(`rooms/r${second % 30}`)).to.include({ size: 1 })
    }
  })
})

describe('a bridge that hears nonsense', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start()
    await world.online('ann/tab', 'c1', { rooms })
    await world.wait(1)
    world.take()
  })
  afterEach(() => world.bridge.close())

  const warnings = () =>
    world.logs
      .filter(({ level }) => level === 'warn')
      .map(({ fields, message }) => ({ ...fields, message }))

  it('drops it with a counter and one log line that says expected and got', async () => {
    await world.say('ann/tab', '{"status":"there"}')
    expect(warnings()).to.deep.equal([
      {
        topic: 'presence/connections/ann/tab',
        error: 'expected status online, away or offline, got "there"',
        message: 'document dropped',
      },
    ])
    expect(world.bridge.metrics()).to.include({ invalid: 1, errors: 0 })
    expect(world.take()).to.deep.equal([])
  })

  it('drops all of it: not JSON, wrong types, 1 MB, 10,000 rooms, 100,000 levels, other bytes', async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`r${i}`, 1]))
    await world.say('ann/tab', 'not json')
    await world.say('ann/tab', '{"status":"online","seq":"one"}')
    await world.say('ann/tab', `{"status":"online","data":"${'x'.repeat(1_000_000)}"}`)
    await world.say('ann/tab', { status: 'online', rooms: many })
    await world.say('ann/tab', `{"status":"online","data":${'['.repeat(100_000)}`)
    world.link.sendBytes('presence/connections/ann/tab', Uint8Array.of(0xff, 0xfe, 0xfd))
    await world.say('/', 'online')
    await world.say('ann/%zz', 'online')
    await world.beat('b1', { connections: 'three' })
    await world.beat('b1', { broker: 'b2' })
    await world.wait(60)
    expect(world.bridge.metrics()).to.include({ invalid: 10, errors: 0 })
    expect(world.take()).to.deep.equal([])
  })

  it('writes no more than thirty lines at once about one topic, and says how many it left out', async () => {
    for (let i = 0; i < 100; i++) world.link.send('presence/connections/ann/tab', '{}')
    await world.wait(1)
    expect(warnings()).to.have.length(30)
    await world.say('bob/tab', '{}')
    const suppressedOf = [{ source: 'presence/connections/ann/tab', lines: 70 }]
    expect(warnings().at(-1)).to.deep.include({
      topic: 'presence/connections/bob/tab',
      suppressed: 70,
      suppressedOf,
    })
    expect(world.bridge.metrics()).to.include({ invalid: 101 })
  })

  it('takes bounds from its options', async () => {
    const strict = await World.start({ documentLimits: { maxRooms: 1 } })
    await strict.online('ann/tab', 'c1', { rooms: { r1: 1, r2: 2 } })
    expect(strict.bridge.metrics()).to.include({ invalid: 1, online: 0 })
    await strict.bridge.close()
  })

  it('logs and counts who has too many connections', async () => {
    const strict = await World.start({ maxConnectionsPerUser: 1 })
    await strict.online('ann/tab', 'c1')
    await strict.online('ann/phone', 'c2')
    expect(strict.bridge.metrics()).to.include({ refused: 1, online: 1 })
    expect(strict.logs.at(-1)).to.deep.include({
      fields: { user: 'ann', connections: 1 },
      message: 'connection refused: the user has too many',
    })
    await strict.bridge.close()
  })
})

describe('a bridge', () => {
  it('counts what it does', async () => {
    const world = await World.start()
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('ann/tab', 'c1', { rooms: { lobby: 2 } })
    await world.wait(1)
    await world.ended('ann/tab', 'c1', 'left')
    await world.ended('ann/tab', 'c1', 'closed')
    expect(world.bridge.metrics()).to.include({
      documents: 4,
      joins: 1,
      leaves: 1,
      online: 1,
      offline: 1,
      stale: 1,
      refused: 0,
      invalid: 0,
      stalls: 0,
      errors: 0,
      flushes: 3,
      brokers: 1,
      up: 1,
    })
    await world.bridge.close()
  })

  it('takes a root with several levels', async () => {
    const world = await World.start({ root: 'acme/eu/presence' })
    world.link.send('acme/eu/presence/connections/ann/tab', 'online')
    await settle()
    expect(world.link.retained.get('acme/eu/presence/users/ann/status')).to.equal('online')
    expect([...world.link.retained.keys()].every((topic) => topic.startsWith('acme/eu/'))).to.equal(
      true,
    )
    await world.bridge.close()
  })

  it('takes hints of a page that unloads, and of devices that know nothing of it', async () => {
    const world = await World.start()
    await world.say('lamp/lamp', 'ONLINE')
    await world.say('ann/tab', { status: 'online', connection: 'c1' })
    await world.say('ann/tab', { status: 'offline', connection: 'c1', reason: 'unload' })
    await world.wait(2.1)
    expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'unload' })
    await world.say('lamp/lamp', '')
    expect(world.retained('users/lamp')).to.include({ status: 'offline', reason: 'left' })
    expect(world.retained('users/lamp')).to.include({ lastSeen: iso(2.1) })
    await world.bridge.close()
  })

  it('does not wait for its own word to be acknowledged while it reads', async () => {
    const world = await World.start()
    world.link.kill()
    world.link.send('presence/bridge/status', 'offline', true)
    const later = await world.restart(1)
    await later.say('ann/tab', 'online')
    expect(later.retained('users/ann/status')).to.equal('online')
    expect(later.retained('bridge/status')).to.equal('online')
    await later.bridge.close()
  })

  it('reads on while it publishes again what was lost, of the very same users', async () => {
    const world = await World.start({ retainedOfflineMs: 5000 })
    world.link.fate = () => 'lost'
    for (let i = 0; i < 20; i++) await world.online(`u${i}/tab`, 'c1', { rooms })
    world.link.fate = () => undefined
    world.link.goDown()
    for (let i = 0; i < 20; i++) {
      world.link.send(`presence/connections/u${i}/tab`, {
        status: 'offline',
        connection: 'c1',
        broker: 'b1',
        reason: 'left',
        ended: true,
      })
    }
    await world.link.comeUp()
    await world.wait(1)
    expect(world.bridge.metrics()).to.include({ offline: 20 })
    expect(world.retained('users/u19/status')).to.equal('offline')
    await world.bridge.close()
  })

  it('leaves no timer behind when it is closed', async () => {
    const world = await World.start()
    await world.online('ann/tab', 'c1', { rooms })
    await world.ended('ann/tab', 'c1', 'closed')
    await world.bridge.close()
    await settle()
    expect(world.clock.pending).to.equal(0)
  })

  const wrong: readonly (readonly [Partial<BridgeOptions>, string])[] = [
    [{ root: '#' }, 'root: expected a topic prefix'],
    [{ roomPaceMinMs: 100, roomPaceMaxMs: 50 }, 'roomPaceMinMs must be from 0 to roomPaceMaxMs'],
    [{ roomPaceMinMs: -1 }, 'roomPaceMinMs must be from 0'],
    [{ roomPaceMaxMs: 60_001 }, 'that at most 60000, got 50 and 60001'],
    [{ announceLimit: 0.5 }, 'announceLimit: expected a whole number from 0, got 0.5'],
    [{ scope: { broker: '' } }, 'scope.broker: expected an id of 1 to 256 characters, got ""'],
    [{ grace: { closed: -1 } }, 'grace.closed must be a number from 0 to 86400000, got -1'],
  ]
  for (const [options, message] of wrong) {
    it(`is not started with a bad option: ${message}`, async () => {
      const attempt = createBridge({ link: new MemoryLink(), ...options })
      const error = await attempt.catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(RangeError)
      expect((error as Error).message).to.include(message)
    })
  }

  const aLink = { link: new MemoryLink() }
  const wrongTypes: readonly (readonly [unknown, string])[] = [
    [null, 'createBridge: expected an object, got null'],
    [{}, 'link: expected an object with readRetained, open, publish and close, got undefined'],
    [{ link: 5 }, 'link: expected an object with readRetained, open, publish and close, got 5'],
    [{ link: {} }, 'publish and close, got Object'],
    [{ ...aLink, root: 5 }, 'root: expected text, got 5'],
    [{ ...aLink, journal: 'yes' }, 'journal: expected true or false, got "yes"'],
    [{ ...aLink, store: {} }, 'store: expected an object with loadUser, saveUser and close'],
    [{ ...aLink, scope: {} }, 'scope.broker: expected an id of 1 to 256 characters, got undefined'],
    [{ ...aLink, scope: { broker: 'b', hearsOthers: true } }, 'expected a function, got true'],
    [{ ...aLink, grace: { closed: '5' } }, 'grace.closed: expected a number, got "5"'],
    [{ ...aLink, grace: 5 }, 'grace: expected an object, got 5'],
    [{ ...aLink, roomGrace: {} }, 'roomGrace: expected a list, got Object'],
    [
      { ...aLink, roomGrace: [{ pattern: '*' }] },
      'roomGrace[0].grace: expected an object, got undefined',
    ],
    [{ ...aLink, roomPaceMinMs: '50' }, 'roomPaceMinMs: expected a number, got "50"'],
  ]
  for (const [options, message] of wrongTypes) {
    it(`is not started with an option of another type: ${message}`, async () => {
      const error = await createBridge(options as BridgeOptions).catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(TypeError)
      expect((error as Error).message).to.include(message)
    })
  }

  for (const [options, message] of [
    [{ root: 'a', rot: 'b' }, 'createBridge: expected one of link, id, root,'],
    [{ link: undefined, lnk: aLink.link }, 'got "lnk"'],
    [
      { grace: { closd: 1 } },
      'grace: expected one of left, unload, closed, timeout, error, broker, kicked, got "closd"',
    ],
    [
      { documentLimits: { maxDepth: 33 } },
      'documentLimits.maxDepth: expected a whole number from 2 to 32, got 33',
    ],
  ] as const) {
    it(`is not started with an option that there is not: ${message}`, async () => {
      const attempt = createBridge({ ...aLink, ...options } as BridgeOptions)
      const error = await attempt.catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(RangeError)
      expect((error as Error).message).to.include(message)
    })
  }

  it('takes an option that is given as undefined for one that is not given', () => {
    const given = { grace: { closed: undefined }, documentLimits: { maxRooms: undefined } }
    const options = { ...aLink, ...given, root: undefined } as unknown as BridgeOptions
    const { root, policy, documentLimits } = resolveOptions(options)
    expect(root).to.equal('presence')
    expect(policy.grace.closed).to.equal(5000)
    expect(documentLimits.maxRooms).to.equal(100)
  })

  it('says why it could not start, even when its link cannot be closed', async () => {
    const broken = new MemoryLink()
    broken.open = () => Promise.reject(new Error('nobody there'))
    broken.close = () => Promise.reject(new Error('not open'))
    const error = await createBridge({ link: broken }).catch((reason: unknown) => reason)
    expect((error as Error).message).to.equal('nobody there')
  })

  it('fails to start as its link does, and leaves nothing behind', async () => {
    const clock = new ManualClock()
    const link = new MemoryLink()
    link.open = () => Promise.reject(new Error('nobody there'))
    const error = await createBridge({ link, clock }).catch((reason: unknown) => reason)
    expect((error as Error).message).to.equal('nobody there')
    expect(clock.pending).to.equal(0)
  })
})
