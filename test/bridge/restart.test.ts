import { expect } from 'chai'
import type { BridgeOptions } from '../../bridge/index.ts'
import { iso, START, World } from './world.ts'

const rooms = { lobby: { color: 'red' } }
const JOURNAL: Partial<BridgeOptions> = { journal: true }

/** Answers the roll call of a bridge that has just started, as broker b1. */
async function answer(
  world: World,
  ...connections: readonly (() => Promise<void>)[]
): Promise<void> {
  const call = world.link.record.findLast(({ topic }) => topic === 'presence/rollcall')
  const { rollcall } = JSON.parse(call?.payload ?? '{}') as { rollcall?: string }
  for (const announce of connections) await announce()
  await world.beat('b1', { rollcall })
}

/** What was published on the output plane; the journal and the bridge’s own words aside. */
function output(world: World): string[] {
  return world.take().filter((line) => /^(users|rooms)\//.test(line))
}

describe('a bridge that was killed, with a journal', () => {
  let world: World
  let later: World | undefined
  beforeEach(async () => {
    world = await World.start(JOURNAL)
    await world.online('ann/tab', 'c1', { rooms, data: 'hi' })
    await world.wait(10)
  })
  afterEach(async () => {
    await world.bridge.close()
    await later?.bridge.close()
    later = undefined
  })

  it('knows everybody when it starts again, and says nothing of it', async () => {
    const before = world.shown()
    later = await world.restart(60)
    await answer(later, () => (later as World).online('ann/tab', 'c1', { rooms, data: 'hi' }))
    await later.wait(60)
    expect(output(later)).to.deep.equal([])
    expect(later.shown()).to.deep.equal(before)
  })

  it('holds who was in grace for no longer than that grace anew', async () => {
    await world.ended('ann/tab', 'c1', 'closed')
    await world.wait(2)
    later = await world.restart(600)
    await later.wait(2.9)
    expect(later.retained('users/ann/status')).to.equal('online')
    await later.wait(2.2)
    expect(later.retained('users/ann')).to.include({ status: 'offline', reason: 'closed' })
    expect(later.retained('rooms/lobby/members/ann')).to.equal(undefined)
    expect(later.retained('rooms/lobby/count')).to.equal('0')
  })

  it('notices who left while it was dead: the broker does not announce them', async () => {
    await world.online('bob/tab', 'c2', { rooms })
    await world.wait(1)
    later = await world.restart(60)
    await answer(later, () => (later as World).online('ann/tab', 'c1', { rooms, data: 'hi' }))
    await later.wait(16)
    expect(later.retained('users/ann/status')).to.equal('online')
    expect(later.retained('users/bob')).to.include({ status: 'offline', reason: 'broker' })
    const [diff] = later.link.record.filter(({ topic }) => topic.endsWith('/events'))
    expect(JSON.parse(diff?.payload ?? '')).to.deep.include({
      size: 1,
      joined: [],
      updated: [],
      left: [{ user: 'bob', reason: 'broker', since: iso(10), lastSeen: iso(10) }],
    })
  })

  it('loses the connections of a broker that died meanwhile as well', async () => {
    later = await world.restart(60)
    later.brokers.delete('b1')
    await later.wait(30)
    expect(later.retained('users/ann')).to.include({ status: 'offline', reason: 'broker' })
  })

  it('hears what was said while it was dead', async () => {
    world.link.kill()
    world.link.send('presence/connections/ann/tab', {
      status: 'offline',
      connection: 'c1',
      broker: 'b1',
      reason: 'left',
      ended: true,
    })
    world.link.send('presence/connections/cat/tab', {
      status: 'online',
      connection: 'c3',
      broker: 'b1',
      rooms,
    })
    later = await world.restart(60)
    await later.wait(1)
    expect(later.retained('users/ann')).to.include({ status: 'offline', reason: 'left' })
    const { members } = later.retained('rooms/lobby') as { members: { user: string }[] }
    expect(members.map(({ user }) => user)).to.deep.equal(['cat'])
  })

  it('does not take back what is over: a late will, an ended id', async () => {
    await world.online('ann/tab', 'c2', { rooms, data: 'hi' })
    later = await world.restart(1)
    await answer(later, () => (later as World).online('ann/tab', 'c2', { rooms, data: 'hi' }))
    await later.ended('ann/tab', 'c1', 'closed')
    await later.online('ann/tab', 'c1', { rooms: {} })
    await later.wait(60)
    expect(output(later)).to.deep.equal([])
  })

  const cuts = [
    ['before the member', 0],
    ['before the snapshot', 1],
    ['before the count', 2],
    ['before the diff', 3],
  ] as const
  for (const [where, count] of cuts) {
    it(`finishes a flush that was cut short ${where}`, async () => {
      let left: number = count
      world.link.fate = ({ topic }) =>
        topic.includes('/rooms/') && left-- <= 0 ? 'lost' : undefined
      await world.online('bob/tab', 'c2', { rooms })
      await world.wait(1)
      later = await world.restart(1)
      await answer(
        later,
        () => (later as World).online('ann/tab', 'c1', { rooms, data: 'hi' }),
        () => (later as World).online('bob/tab', 'c2', { rooms }),
      )
      await later.wait(30)
      expect(later.retained('rooms/lobby/members/bob')).to.include({ user: 'bob' })
      const snapshot = later.retained('rooms/lobby') as { size: number; members: unknown[] }
      expect([snapshot.size, snapshot.members.length]).to.deep.equal([2, 2])
      expect(later.retained('rooms/lobby/count')).to.equal('2')
    })

    it(`finishes a leave that was cut short ${where}`, async () => {
      let left: number = count
      world.link.fate = ({ topic }) =>
        topic.includes('/rooms/') && left-- <= 0 ? 'lost' : undefined
      await world.ended('ann/tab', 'c1', 'left')
      await world.wait(1)
      later = await world.restart(1)
      await later.wait(30)
      expect(later.retained('rooms/lobby/members/ann')).to.equal(undefined)
      expect(later.retained('rooms/lobby')).to.include({ size: 0 })
      expect(later.retained('rooms/lobby/count')).to.equal('0')
    })
  }

  it('finishes a user’s topics that were cut short', async () => {
    world.link.fate = ({ topic }) => (topic.endsWith('/status') ? 'lost' : undefined)
    await world.ended('ann/tab', 'c1', 'left')
    expect(world.retained('users/ann')).to.include({ status: 'offline' })
    expect(world.retained('users/ann/status')).to.equal('online')
    later = await world.restart(1)
    expect(later.retained('users/ann/status')).to.equal('offline')
  })

  it('publishes the user’s topics that it had only noted', async () => {
    world.link.fate = ({ topic }) => (topic.startsWith('presence/users/') ? 'lost' : undefined)
    await world.ended('ann/tab', 'c1', 'left')
    expect(world.retained('users/ann/status')).to.equal('online')
    later = await world.restart(1)
    expect(later.retained('users/ann')).to.include({ status: 'offline', reason: 'left' })
    expect(later.retained('users/ann/status')).to.equal('offline')
  })

  it('goes on with the versions where they were, though its clock is behind', async () => {
    const before = world.retained('rooms/lobby') as { version: number }
    later = await world.restart(-3600)
    await later.online('bob/tab', 'c2', { rooms })
    await later.wait(1)
    expect((later.retained('rooms/lobby') as { version: number }).version).to.equal(
      before.version + 1,
    )
    expect(before.version).to.equal(START)
  })

  it('does not show who was never shown', async () => {
    await world.ended('eve/tab', 'c9', 'closed')
    later = await world.restart(1)
    expect(later.retained('users/eve')).to.equal(undefined)
    await later.wait(90)
    expect(output(later).filter((line) => line.includes('eve'))).to.deep.equal([])
    expect(later.retained('bridge/state/eve')).to.equal(undefined)
  })
})

describe('a bridge that was killed, without a journal', () => {
  let world: World
  let later: World | undefined
  beforeEach(async () => {
    world = await World.start()
    await world.online('ann/tab', 'c1', { rooms, data: 'hi' })
    await world.online('bob/tab', 'c2', { rooms })
    await world.wait(10)
  })
  afterEach(async () => {
    await world.bridge.close()
    await later?.bridge.close()
    later = undefined
  })

  it('finds everybody again by what is retained, and says nothing of it', async () => {
    const before = world.shown()
    later = await world.restart(600)
    await answer(
      later,
      () => (later as World).online('ann/tab', 'c1', { rooms, data: 'hi' }),
      () => (later as World).online('bob/tab', 'c2', { rooms }),
    )
    await later.wait(60)
    expect(output(later)).to.deep.equal([])
    expect(later.shown()).to.deep.equal(before)
  })

  it('notices who left while it was dead, after the grace of a broker’s end', async () => {
    later = await world.restart(600)
    await answer(later, () => (later as World).online('ann/tab', 'c1', { rooms, data: 'hi' }))
    await later.wait(14)
    expect(later.retained('users/bob/status')).to.equal('online')
    await later.wait(2)
    expect(later.retained('users/bob')).to.include({ status: 'offline', reason: 'broker' })
    expect(later.retained('rooms/lobby')).to.include({ size: 1 })
    expect(later.retained('rooms/lobby/members/bob')).to.equal(undefined)
  })

  it('shows who has changed rooms, and no one twice', async () => {
    later = await world.restart(600)
    await later.online('ann/tab', 'c7', { rooms: { attic: 1 }, data: 'hi' })
    await later.online('bob/tab', 'c2', { rooms })
    await later.wait(30)
    expect(later.retained('rooms/attic')).to.include({ size: 1 })
    expect(later.retained('rooms/lobby')).to.include({ size: 1 })
    expect(later.retained('users/ann')).to.include({ status: 'online', connections: 1 })
  })

  it('keeps the times of what it finds', async () => {
    later = await world.restart(600)
    await later.online('ann/tab', 'c1', { rooms: { lobby: 'new' }, data: 'hi' })
    await later.wait(1)
    expect(later.retained('rooms/lobby/members/ann')).to.include({ since: iso(0), data: 'new' })
  })

  it('finishes a user’s topics that were cut short', async () => {
    world.link.fate = ({ topic }) => (topic.endsWith('/status') ? 'lost' : undefined)
    await world.ended('bob/tab', 'c2', 'left')
    later = await world.restart(1)
    expect(later.retained('users/bob/status')).to.equal('offline')
  })

  it('clears member topics that no snapshot knows', async () => {
    const stray = { user: 'eve', status: 'online', since: iso(0), data: null }
    world.link.send('presence/rooms/lobby/members/eve', stray, true)
    later = await world.restart(1)
    expect(later.retained('rooms/lobby/members/eve')).to.equal(undefined)
    expect(later.retained('rooms/lobby')).to.include({ size: 2 })
  })

  it('leaves alone what it does not understand', async () => {
    world.link.send('presence/users/odd', 'not a document', true)
    world.link.send('presence/rooms/odd', '{"room":7}', true)
    world.link.send('presence/users/%zz', '{}', true)
    later = await world.restart(1)
    await later.wait(1)
    expect(later.retained('users/odd')).to.equal('not a document')
    expect(later.bridge.ready).to.equal(true)
  })

  it('finds the members of a room above the announce limit by their own topics', async () => {
    await world.bridge.close()
    world = await World.start({ announceLimit: 1 })
    for (const user of ['u1', 'u2', 'u3']) await world.online(`${user}/tab`, 'c', { rooms })
    await world.wait(2)
    expect(world.retained('rooms/lobby')).to.include({ size: 3, complete: false })
    later = await world.restart(1)
    for (const user of ['u1', 'u2']) await later.online(`${user}/tab`, 'c', { rooms })
    await later.wait(20)
    expect(later.retained('rooms/lobby')).to.include({ size: 2, complete: false })
    expect(later.retained('rooms/lobby/members/u3')).to.equal(undefined)
    expect(later.retained('rooms/lobby/members/u2')).to.include({ user: 'u2' })
  })
})
