import { expect } from 'chai'
import { iso, World } from './world.ts'

const rooms = { lobby: 1 }

/** Takes the link down for a while in which time passes. */
async function loseLink(world: World, seconds: number, resumed = true): Promise<void> {
  world.link.goDown()
  await world.clock.advance(seconds * 1000)
  await world.link.comeUp(resumed)
  await world.clock.advance(0)
}

describe('a bridge that loses its broker', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start()
  })
  afterEach(() => world.bridge.close())

  it('concludes nothing from silence, and goes on where it was', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.wait(10)
    await world.ended('ann/tab', 'c1', 'closed')
    await world.wait(2)
    world.take()
    world.link.goDown()
    expect(world.bridge.ready).to.equal(false)
    expect(world.bridge.metrics()).to.include({ up: 0 })
    await world.clock.advance(600_000)
    expect(world.take()).to.deep.equal([])
    await world.link.comeUp()
    await world.wait(2.9)
    expect(world.retained('users/ann/status')).to.equal('online')
    await world.wait(0.2)
    expect(world.retained('users/ann')).to.include({ status: 'offline', since: iso(615) })
    expect(world.retained('rooms/lobby/count')).to.equal('0')
  })

  it('does not hold it against its brokers that it did not hear them', async () => {
    await world.online('ann/tab', 'c1')
    await world.wait(2)
    await loseLink(world, 600)
    world.take()
    await world.wait(60)
    expect(world.take()).to.deep.equal([])
    expect(world.bridge.metrics()).to.include({ brokers: 1 })
  })

  it('says on its return that presence is fresh, and calls the roll', async () => {
    await world.wait(2)
    await loseLink(world, 5)
    const lines = world.take()
    expect(lines).to.deep.equal(['bridge/status online', 'rollcall {…}'])
    expect(world.bridge.ready).to.equal(true)
  })

  it('hears on its return what was said meanwhile', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('bob/tab', 'c2', { rooms })
    world.link.goDown()
    await world.ended('ann/tab', 'c1', 'left')
    await world.online('cat/tab', 'c3', { rooms })
    expect(world.retained('users/cat')).to.equal(undefined)
    await world.link.comeUp()
    await world.wait(1)
    expect(world.retained('users/ann/status')).to.equal('offline')
    expect(world.retained('users/cat/status')).to.equal('online')
    expect(world.retained('rooms/lobby')).to.include({ size: 2 })
  })

  it('publishes on its return what it could not publish, whatever was lost', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.online('bob/tab', 'c2', { rooms })
    await world.wait(1)
    world.link.fate = () => 'lost'
    await world.ended('ann/tab', 'c1', 'left')
    await world.online('cat/tab', 'c3', { rooms })
    await world.wait(1)
    world.link.fate = () => undefined
    world.take()
    await loseLink(world, 5)
    await world.wait(1)
    const members = world.take().filter((line) => line.includes('/members/'))
    expect(members.toSorted()).to.deep.equal([
      'rooms/lobby/members/ann',
      'rooms/lobby/members/bob {…}',
      'rooms/lobby/members/cat {…}',
    ])
    expect(world.retained('users/ann')).to.include({ status: 'offline' })
    expect(world.retained('users/ann/status')).to.equal('offline')
    expect(world.retained('users/cat/status')).to.equal('online')
    expect(world.retained('rooms/lobby')).to.include({ size: 2 })
    expect(world.retained('rooms/lobby/count')).to.equal('2')
    expect(world.retained('rooms/lobby/members/ann')).to.equal(undefined)
  })

  it('publishes what it could not publish before what comes with the link’s return', async () => {
    await world.online('ann/tab', 'c1')
    await world.wait(1)
    world.link.fate = () => 'lost'
    await world.ended('ann/tab', 'c1', 'left')
    world.link.fate = () => undefined
    world.link.goDown()
    // A change that leaves the plain status as it is must not take the lost one for published.
    world.link.send('presence/connections/ann/tab', {
      status: 'offline',
      connection: 'c2',
      broker: 'b1',
      ended: true,
    })
    await world.link.comeUp()
    await world.wait(1)
    expect(world.retained('users/ann/status')).to.equal('offline')
  })

  it('publishes everything of a user again after a publication of it was refused', async () => {
    world.link.fate = ({ topic }) => (topic.endsWith('/status') ? 'refused' : undefined)
    await world.online('ann/tab', 'c1')
    world.link.fate = () => undefined
    expect(world.retained('users/ann/status')).to.equal(undefined)
    await world.online('ann/tab', 'c1', { data: 1 })
    expect(world.retained('users/ann/status')).to.equal('online')
    world.take()
    await world.online('ann/tab', 'c1', { data: 2 })
    expect(world.take()).to.deep.equal(['users/ann {…}'])
  })

  it('goes on with a room after a flush of it was refused', async () => {
    world.link.fate = ({ topic }) => (topic.endsWith('/members/ann') ? 'refused' : undefined)
    await world.online('ann/tab', 'c1', { rooms })
    await world.wait(1)
    world.link.fate = () => undefined
    await world.online('bob/tab', 'c2', { rooms })
    await world.wait(1)
    expect(world.retained('rooms/lobby/members/ann')).to.include({ user: 'ann' })
    expect(world.retained('rooms/lobby/members/bob')).to.include({ user: 'bob' })
  })

  it('does not lose its session’s messages when the link breaks in the middle of them', async () => {
    await world.wait(2)
    for (let i = 0; i < 50; i++) {
      world.link.send(`presence/connections/u${i}/tab`, { status: 'online', connection: 'c' })
    }
    await loseLink(world, 1)
    await world.wait(1)
    expect(world.bridge.metrics()).to.include({ online: 50 })
  })

  it('without its session sees the end of those who do not announce themselves again', async () => {
    await world.say('ann/tab', { status: 'online', connection: 'c1' })
    await world.say('bob/tab', { status: 'online', connection: 'c2' })
    world.link.goDown()
    await world.clock.advance(60_000)
    await world.link.comeUp(false)
    await world.say('ann/tab', { status: 'online', connection: 'c1' })
    await world.wait(30)
    expect(world.retained('users/ann/status')).to.equal('online')
    expect(world.retained('users/bob')).to.include({ status: 'offline', reason: 'broker' })
  })

  it('publishes everything to a broker that has lost it, also when the link breaks meanwhile', async () => {
    await world.say('ann/tab', { status: 'online', connection: 'c1', rooms })
    await world.say('bob/tab', { status: 'online', connection: 'c2', rooms })
    await world.wait(2)
    world.link.goDown()
    world.link.retained.clear()
    world.link.fate = ({ topic }) => (topic === 'presence/bridge/status' ? undefined : 'lost')
    await world.link.comeUp(false)
    await world.clock.advance(0)
    world.link.fate = () => undefined
    await loseLink(world, 1)
    await world.wait(1)
    expect(world.retained('users/ann')).to.include({ status: 'online' })
    expect(world.retained('users/bob/status')).to.equal('online')
    expect(world.retained('rooms/lobby')).to.include({ size: 2 })
  })

  it('re-asserts that presence is fresh when another bridge’s will says otherwise', async () => {
    world.link.send('presence/bridge/status', 'offline', true)
    await world.clock.advance(99)
    expect(world.take()).to.deep.equal([])
    await world.clock.advance(1)
    expect(world.take()).to.deep.equal(['bridge/status online'])
    world.link.send('presence/bridge/status', 'online', true)
    await world.clock.advance(100)
    expect(world.take()).to.deep.equal([])
  })

  it('does so once for several, and not when another bridge was faster', async () => {
    for (let n = 0; n < 3; n++) {
      world.link.send('presence/bridge/status', 'offline', true)
      await world.clock.advance(30)
    }
    await world.clock.advance(100)
    expect(world.take()).to.deep.equal(['bridge/status online'])
    world.link.send('presence/bridge/status', 'offline', true)
    await world.clock.advance(50)
    world.link.send('presence/bridge/status', 'online', true)
    await world.clock.advance(100)
    expect(world.take()).to.deep.equal([])
  })

  it('does not do so when it is closing itself', async () => {
    await world.bridge.close()
    expect(world.retained('bridge/status')).to.equal('offline')
  })
})

describe('a bridge that was stopped', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start()
    await world.online('ann/tab', 'c1', { rooms })
    await world.wait(10)
    await world.ended('ann/tab', 'c1', 'closed')
    world.take()
  })
  afterEach(() => world.bridge.close())

  it('moves every grace by that time, and tells', async () => {
    world.clock.jump(60_000)
    await world.wait(4)
    expect(world.take()).to.deep.equal([])
    await world.wait(2)
    expect(world.retained('users/ann/status')).to.equal('offline')
    expect(world.bridge.metrics()).to.include({ stalls: 1 })
    const told = world.logs.filter(({ level }) => level === 'warn')
    expect(told.map(({ message }) => message)).to.deep.equal([
      'bridge was not running; deadlines move by that time',
    ])
  })

  it('reads what has arrived meanwhile before it concludes anything', async () => {
    world.clock.jump(60_000)
    world.link.send('presence/connections/ann/tab', {
      status: 'online',
      connection: 'c2',
      broker: 'b1',
      rooms,
    })
    await world.wait(60)
    expect(world.take()).to.deep.equal([])
  })

  it('has lost no broker for it', async () => {
    await world.online('bob/tab', 'c3')
    world.take()
    world.clock.jump(60_000)
    await world.clock.advance(6000)
    await world.wait(30)
    expect(world.retained('users/bob/status')).to.equal('online')
    expect(world.bridge.metrics()).to.include({ brokers: 1 })
  })

  it('does not drop a crowd in grace, however large', async () => {
    for (let i = 0; i < 300; i++) {
      await world.online(`u${i}/tab`, 'c')
      await world.ended(`u${i}/tab`, 'c', 'closed')
    }
    world.take()
    world.clock.jump(60_000)
    await world.wait(3)
    expect(world.take()).to.deep.equal([])
    await world.wait(4)
    expect(world.bridge.metrics()).to.include({ offline: 301 })
  })

  it('and had no link either adds that time once', async () => {
    world.link.goDown()
    world.clock.jump(60_000)
    await world.clock.advance(1000)
    await world.link.comeUp()
    await world.wait(4.5)
    expect(world.retained('users/ann/status')).to.equal('online')
    await world.wait(1)
    expect(world.retained('users/ann/status')).to.equal('offline')
  })
})
