import { expect } from 'chai'
import { iso, World } from './world.ts'

/** The ids of the roll calls since the last look. */
function calls(world: World): string[] {
  return world.link
    .take()
    .filter((line) => line.startsWith('presence/rollcall '))
    .map((line) => (JSON.parse(line.slice(line.indexOf('{'))) as { rollcall: string }).rollcall)
}

/** What is published of users, as `ann offline`. */
function statuses(world: World): string[] {
  return world
    .take()
    .flatMap((line) => /^users\/(.+)\/status (.+)$/.exec(line)?.slice(1).join(' ') ?? [])
}

describe('roll call and census', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start()
  })
  afterEach(() => world.bridge.close())

  it('the roll is called at the start, and for each broker that is new', async () => {
    const later = await world.restart(1)
    const [first] = calls(later)
    await later.beat('b1')
    await later.beat('b1')
    await later.beat('b2')
    const more = calls(later)
    expect(more).to.have.length(2)
    expect(new Set([first, ...more, undefined]).size).to.equal(4)
    expect(later.bridge.metrics()).to.include({ brokers: 2 })
    await later.bridge.close()
  })

  it('what a broker does not announce before its marker is lost, with cause broker', async () => {
    await world.online('ann/tab', 'c1')
    await world.online('bob/tab', 'c2')
    await world.beat('b2')
    const [rollcall] = calls(world)
    await world.online('ann/tab', 'c1')
    await world.beat('b1', { rollcall })
    await world.wait(14)
    expect(statuses(world)).to.deep.equal([])
    await world.wait(2)
    expect(statuses(world)).to.deep.equal(['bob offline'])
    expect(world.retained('users/bob')).to.include({ reason: 'broker', lastSeen: iso(0) })
  })

  it('a marker that comes twice loses nobody', async () => {
    await world.online('ann/tab', 'c1')
    await world.beat('b2')
    const [rollcall] = calls(world)
    await world.online('ann/tab', 'c1')
    await world.beat('b1', { rollcall })
    await world.online('bob/tab', 'c2')
    await world.beat('b1', { rollcall })
    world.take()
    await world.wait(60)
    expect(statuses(world)).to.deep.equal([])
  })

  it('a marker of an earlier call concludes nothing', async () => {
    await world.online('ann/tab', 'c1')
    await world.beat('b2')
    const [old] = calls(world)
    await world.beat('b3')
    await world.beat('b1', { rollcall: old })
    world.take()
    await world.wait(60)
    expect(statuses(world)).to.deep.equal([])
  })

  it('a connection that is new while the marker is dealt with is not lost', async () => {
    await world.online('bob/tab', 'c9')
    await world.beat('b2')
    const [rollcall] = calls(world)
    const beat = { broker: 'b1', status: 'up', connections: 1, intervalMs: 2000, rollcall }
    const document = { status: 'online', connection: 'c10', broker: 'b1' }
    world.link.send('presence/brokers/b1', beat)
    world.link.send('presence/connections/bob/tab', document)
    await world.wait(60)
    expect(world.retained('users/bob/status')).to.equal('online')
  })

  it('a broker that falls silent has lost its connections, and nobody else’s', async () => {
    world.brokers.add('b2')
    await world.online('ann/tab', 'c1')
    await world.online('bob/tab', 'c2', { broker: 'b2' })
    await world.say('lamp/lamp', 'online')
    await world.wait(2)
    world.brokers.delete('b1')
    world.take()
    await world.wait(7)
    expect(world.bridge.metrics()).to.include({ brokers: 2 })
    await world.wait(2)
    expect(world.bridge.metrics()).to.include({ brokers: 1 })
    await world.wait(13)
    expect(statuses(world)).to.deep.equal([])
    await world.wait(3)
    expect(statuses(world)).to.deep.equal(['ann offline'])
    expect(world.retained('users/ann')).to.include({ reason: 'broker' })
  })

  it('a broker that dies before its first beat has lost its connections too', async () => {
    await world.online('ann/tab', 'c1', { broker: 'b2' })
    world.take()
    await world.wait(9 + 14)
    expect(statuses(world)).to.deep.equal([])
    await world.wait(2)
    expect(statuses(world)).to.deep.equal(['ann offline'])
  })

  it('people of a lost broker who reconnect within the grace never blinked, the rest leave in one batch', async () => {
    world.brokers.add('b2')
    for (const user of ['ann', 'bob', 'cat', 'dan']) {
      await world.online(`${user}/tab`, user, { rooms: { lobby: 1 } })
    }
    await world.wait(2)
    world.brokers.delete('b1')
    await world.wait(12)
    world.take()
    await world.online('ann/tab', 'ann-2', { broker: 'b2', rooms: { lobby: 1 } })
    await world.online('bob/tab', 'bob-2', { broker: 'b2', rooms: { lobby: 1 } })
    await world.wait(20)
    const lines = world.take()
    expect(lines.filter((line) => line.endsWith(' offline'))).to.have.members([
      'users/cat/status offline',
      'users/dan/status offline',
    ])
    expect(lines.filter((line) => line.startsWith('rooms/lobby/events'))).to.have.length(1)
    expect(world.retained('rooms/lobby')).to.include({ size: 2 })
  })

  it('a broker that comes back announces its connections, and they never blinked', async () => {
    await world.online('ann/tab', 'c1', { rooms: { lobby: 1 } })
    world.take()
    await world.clock.advance(15_000)
    await world.beat('b1')
    const [rollcall] = calls(world)
    await world.online('ann/tab', 'c1', { rooms: { lobby: 1 } })
    await world.beat('b1', { rollcall })
    await world.wait(60)
    expect(world.take()).to.deep.equal([])
  })

  it('clients of a foreign broker have five seconds to answer a call that starts from nothing', async () => {
    await world.say('ann/tab', { status: 'online', connection: 'c1' })
    await world.say('bob/tab', { status: 'online', connection: 'c2' })
    world.link.goDown()
    await world.link.comeUp(false)
    await world.say('ann/tab', { status: 'online', connection: 'c1' })
    world.take()
    await world.wait(19)
    expect(statuses(world)).to.deep.equal([])
    await world.wait(2)
    expect(statuses(world)).to.deep.equal(['bob offline'])
  })

  it('a plain device whose word is retained has answered, though the roll is called again', async () => {
    world.link.send('presence/connections/lamp/lamp', 'online', true)
    await world.wait(1)
    world.link.goDown()
    await world.link.comeUp(false)
    await world.beat('b2')
    world.take()
    await world.wait(60)
    expect(statuses(world)).to.deep.equal([])
  })

  it('after a session that was kept nobody on a foreign broker has to answer', async () => {
    await world.wait(6)
    await world.say('lamp/lamp', 'online')
    world.link.goDown()
    await world.link.comeUp(true)
    world.take()
    await world.wait(60)
    expect(statuses(world)).to.deep.equal([])
  })
})

describe('a broker that is stuck when a grace ends', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start({ grace: { closed: 5000 } })
    await world.online('ann/tab', 'c1')
    await world.say('dev/dev', 'online')
    await world.ended('ann/tab', 'c1', 'closed')
    await world.say('dev/dev', 'offline')
    await world.wait(4.5)
    world.take()
    world.brokers.clear()
    world.link.fate = ({ topic }) => (topic.endsWith('/ping') ? 'lost' : undefined)
    await world.wait(3)
    expect(world.take()).to.deep.equal([])
  })

  function goOn(): void {
    world.link.fate = () => undefined
    world.brokers.add('b1')
  }

  it('may have taken its clients back', async () => {
    goOn()
    await world.online('ann/tab', 'c2')
    await world.say('dev/dev', 'online')
    await world.wait(30)
    expect(world.take()).to.deep.equal([])
  })

  it('is given a moment to tell, and then they are offline', async () => {
    goOn()
    await world.wait(1)
    expect(world.take()).to.deep.equal([])
    await world.wait(1.5)
    expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'closed' })
    expect(world.retained('users/dev')).to.include({ status: 'offline' })
  })
})
