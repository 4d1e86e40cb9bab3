import { expect } from 'chai'
import { iso, START, World } from './world.ts'

const MEMBER = { user: 'ann', status: 'online', since: iso(0), data: { color: 'red' } }

describe('the output of a bridge', () => {
  let world: World
  beforeEach(async () => {
    world = await World.start()
  })
  afterEach(() => world.bridge.close())

  it('of a user that comes online: its document and its plain status, retained', async () => {
    await world.online('ann/tab', 'c1', { data: { mood: 'fine' } })
    expect(world.link.record).to.deep.equal([
      {
        topic: 'presence/users/ann',
        payload: JSON.stringify({
          user: 'ann',
          status: 'online',
          since: iso(0),
          lastSeen: iso(0),
          reason: null,
          connections: 1,
          data: { mood: 'fine' },
          version: START,
        }),
        retain: true,
      },
      { topic: 'presence/users/ann/status', payload: 'online', retain: true },
    ])
  })

  it('of a user that goes offline says why, since when, and when it was last heard', async () => {
    await world.online('ann/tab', 'c1')
    await world.wait(10)
    await world.ended('ann/tab', 'c1', 'closed')
    await world.wait(5)
    expect(world.shown()).to.deep.equal({
      'users/ann': {
        user: 'ann',
        status: 'offline',
        since: iso(15),
        lastSeen: iso(10),
        reason: 'closed',
        connections: 0,
        data: null,
        version: START + 15_000,
      },
      'users/ann/status': 'offline',
    })
  })

  it('of a user that is away: the plain status stays online, and is not published again', async () => {
    await world.online('ann/tab', 'c1')
    world.take()
    await world.say('ann/tab', { status: 'away', connection: 'c1', broker: 'b1' })
    expect(world.take()).to.deep.equal(['users/ann {…}'])
    expect(world.retained('users/ann')).to.include({ status: 'away' })
    expect(world.retained('users/ann/status')).to.equal('online')
  })

  it('of a join: the member, the snapshot, the count and the diff of one flush', async () => {
    await world.online('ann/tab', 'c1', { rooms: { lobby: { color: 'red' } } })
    expect(world.link.record.slice(2)).to.deep.equal([
      {
        topic: 'presence/rooms/lobby/members/ann',
        payload: JSON.stringify(MEMBER),
        retain: true,
      },
      {
        topic: 'presence/rooms/lobby',
        payload: JSON.stringify({ room: 'lobby', version: START, size: 1, members: [MEMBER] }),
        retain: true,
      },
      { topic: 'presence/rooms/lobby/count', payload: '1', retain: true },
      {
        topic: 'presence/rooms/lobby/events',
        payload: JSON.stringify({
          room: 'lobby',
          version: START,
          previous: 0,
          size: 1,
          joined: [MEMBER],
          updated: [],
          left: [],
        }),
        retain: false,
      },
    ])
  })

  it('of an update: the member and the snapshot, but no count', async () => {
    await world.online('ann/tab', 'c1', { rooms: { lobby: { color: 'red' } } })
    await world.wait(1)
    world.take()
    await world.online('ann/tab', 'c1', { rooms: { lobby: { color: 'blue' } } })
    const updated = [{ ...MEMBER, data: { color: 'blue' } }]
    const diff = JSON.parse(world.link.record.at(-1)?.payload ?? '') as object
    expect(diff).to.deep.equal({
      room: 'lobby',
      version: START + 1000,
      previous: START,
      size: 1,
      joined: [],
      updated,
      left: [],
    })
    expect(world.take()).to.deep.equal([
      'rooms/lobby/members/ann {…}',
      'rooms/lobby {…}',
      'rooms/lobby/events {…}',
    ])
  })

  it('of a leave: an empty member topic, and who left, why, since when, last seen when', async () => {
    await world.online('ann/tab', 'c1', { rooms: { lobby: { color: 'red' } } })
    await world.wait(60)
    world.take()
    await world.ended('ann/tab', 'c1', 'left')
    const diff = JSON.parse(world.link.record.at(-1)?.payload ?? '') as object
    expect(diff).to.deep.include({
      previous: START,
      size: 0,
      left: [{ user: 'ann', reason: 'left', since: iso(0), lastSeen: iso(60) }],
    })
    expect(world.take()).to.deep.equal([
      'users/ann {…}',
      'users/ann/status offline',
      'rooms/lobby/members/ann',
      'rooms/lobby {…}',
      'rooms/lobby/count 0',
      'rooms/lobby/events {…}',
    ])
    expect(world.retained('rooms/lobby')).to.deep.equal({
      room: 'lobby',
      version: START + 60_000,
      size: 0,
      members: [],
    })
  })

  it('of unusual names is escaped in topics and literal in documents', async () => {
    for (const name of ['a/b +#%', '한국어 👩‍👩‍👧', '__proto__', 'constructor']) {
      const level = name.replaceAll(/[%/+#]/g, encodeURIComponent)
      const rooms = JSON.parse(`{${JSON.stringify(name)}:1}`) as Record<string, number>
      await world.online(`${level}/${level}`, 'c1', { rooms })
      expect(world.retained(`users/${level}`)).to.include({ user: name })
      expect(world.retained(`rooms/${level}`)).to.include({ room: name, size: 1 })
      expect(world.retained(`rooms/${level}/members/${level}`)).to.include({ user: name, data: 1 })
    }
  })

  it('of a bridge that is closed says that presence is no longer fresh', async () => {
    expect(world.retained('bridge/status')).to.equal('online')
    await world.bridge.close()
    expect(world.retained('bridge/status')).to.equal('offline')
    expect(world.bridge.ready).to.equal(false)
    await world.bridge.close()
    expect(world.take()).to.deep.equal(['bridge/status offline'])
  })

  it('of a bridge that is closed in the middle of a pause is complete', async () => {
    await world.online('ann/tab', 'c1', { rooms: { lobby: 1 } })
    await world.online('bob/tab', 'c2', { rooms: { lobby: 2 } })
    expect(world.retained('rooms/lobby/count')).to.equal('1')
    await world.bridge.close()
    expect(world.retained('rooms/lobby/count')).to.equal('2')
  })
})

describe('the pace of a room', () => {
  let world: World
  const rooms = { lobby: 1 }
  const flushes = () => world.take().filter((line) => line.startsWith('rooms/lobby/events')).length

  beforeEach(async () => {
    world = await World.start({ roomPaceMinMs: 100, roomPaceMaxMs: 1000, announceLimit: 10 })
  })
  afterEach(() => world.bridge.close())

  it('is at once when the room was quiet, then as slow as its pause', async () => {
    await world.online('u0/tab', 'c')
    await world.online('u1/tab', 'c', { rooms })
    expect(flushes(), 'at once').to.equal(1)
    for (let i = 2; i < 6; i++) await world.online(`u${i}/tab`, 'c', { rooms })
    await world.wait(0.18)
    expect(flushes(), 'in the pause').to.equal(0)
    await world.wait(0.02)
    expect(flushes(), 'after the pause').to.equal(1)
    expect(world.retained('rooms/lobby')).to.include({ size: 5 })
  })

  it('is at once again after a pause in which nothing happened', async () => {
    await world.online('u1/tab', 'c', { rooms })
    await world.wait(2)
    world.take()
    await world.online('u2/tab', 'c', { rooms })
    expect(flushes()).to.equal(1)
  })

  it('costs each reader of a join storm a few diffs, not one for each member', async () => {
    for (let i = 0; i < 200; i++) {
      await world.online(`u${i}/tab`, 'c', { rooms })
      await world.wait(0.01)
    }
    await world.wait(1)
    expect(flushes()).to.be.within(3, 12)
    expect(world.retained('rooms/lobby')).to.include({ size: 200 })
  })

  it('hides who joins and leaves within one window', async () => {
    await world.online('u1/tab', 'c', { rooms })
    world.take()
    await world.online('u2/tab', 'c', { rooms })
    await world.online('u2/tab', 'c', { rooms: {} })
    await world.wait(1)
    expect(world.take().filter((line) => line.startsWith('rooms/'))).to.deep.equal([])
  })

  it('of each room is its own', async () => {
    await world.online('u1/tab', 'c', { rooms })
    world.take()
    await world.online('u2/tab', 'c', { rooms: { attic: 1 } })
    expect(world.retained('rooms/attic')).to.include({ size: 1 })
  })

  it('above the announce limit tells sizes, and all members when it is below again', async () => {
    for (let i = 0; i < 11; i++) await world.online(`u${i}/tab`, 'c', { rooms })
    await world.wait(2)
    const big = world.retained('rooms/lobby') as { version: number }
    expect(big).to.deep.equal({ room: 'lobby', version: big.version, size: 11, complete: false })
    const diff = JSON.parse(world.link.record.at(-1)?.payload ?? '') as object
    expect(diff).to.deep.include({ size: 11, joined: [], updated: [], left: [], complete: false })
    expect(world.retained('rooms/lobby/count')).to.equal('11')
    expect(world.retained('rooms/lobby/members/u10')).to.include({ user: 'u10' })
    await world.ended('u10/tab', 'c', 'left')
    await world.wait(2)
    const small = world.retained('rooms/lobby') as { members: readonly unknown[] }
    expect(small.members).to.have.length(10)
    expect(small).not.to.have.property('complete')
    expect(world.retained('rooms/lobby/members/u10')).to.equal(undefined)
  })
})
