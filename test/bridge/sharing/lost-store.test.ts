import { expect } from 'chai'
import type { Store } from '../../../bridge/index.ts'
import { answer, createShared, type Shared } from '../shared-store.ts'
import { saveOf } from '../store/samples.ts'
import { iso, World } from '../world.ts'

const rooms = { lobby: 1 }

describe('a bridge on a shared store', () => {
  let world: World
  let shared: Shared
  let stamp = 0
  beforeEach(async () => {
    stamp = 0
    shared = createShared(() => world)
    world = await World.start({ store: shared.store })
    await answer(world, 'b1')
    await world.wait(4)
    world.take()
  })
  afterEach(() => world.bridge.close())

  function online(name: string, connection: string, said: object = {}): Promise<void> {
    return world.online(name, connection, { stamp: ++stamp, ...said })
  }

  function left(name: string, connection: string): Promise<void> {
    const end = { broker: 'b1', reason: 'left', ended: true, stamp: ++stamp } as const
    return world.say(name, { status: 'offline', connection, ...end })
  }

  /** The store is away for 5 s. */
  async function lose(
    onLack: (() => unknown) | undefined,
    meanwhile = async (): Promise<void> => {},
  ) {
    shared.leave()
    await world.wait(4)
    await meanwhile()
    await world.wait(1)
    shared.onLack = onLack
    shared.comeBack()
    await world.clock.advance(400)
  }

  async function roomsOf(user: string): Promise<readonly string[]> {
    const stored = await shared.store.loadUser(user)
    return (stored?.state.memberships ?? []).map(({ room }) => room)
  }

  /** What readers got since the last look. */
  function told(): string[] {
    return world.take().filter((line) => /^(users|rooms)\//.test(line))
  }

  describe('that comes back empty', () => {
    const empty = (): void => shared.empty()

    it('says nothing of who has left and come back lately', async () => {
      await online('ann/tab', 'c1', { rooms })
      await left('ann/tab', 'c1')
      await online('ann/tab', 'c2', { rooms, data: 'here' })
      await online('bob/tab', 'd1', { rooms })
      await world.wait(20)
      told()
      await lose(empty)
      await answer(world, 'b1', {
        'ann/tab': { connection: 'c2', rooms, data: 'here' },
        'bob/tab': { connection: 'd1', rooms },
      })
      await world.wait(60)
      expect(told()).to.deep.equal([])
    })

    it('nor of one with two connections, whichever of them is announced last', async () => {
      await online('ann/tab', 'c1', { data: 'old' })
      await online('ann/phone', 'd1')
      await online('ann/phone', 'd1', { data: 'new' })
      await world.wait(20)
      told()
      await lose(empty)
      await answer(world, 'b1', {
        'ann/phone': { connection: 'd1', data: 'new' },
        'ann/tab': { connection: 'c1', data: 'old' },
      })
      await world.wait(60)
      expect(told()).to.deep.equal([])
    })

    it('does not bring back who was at a broker that is lost', async () => {
      await online('ann/tab', 'c1')
      await online('ann/old', 'd1', { broker: 'b2' })
      await world.wait(30)
      expect(world.retained('users/ann')).to.include({ connections: 1 })
      await online('ann/tab', 'c1', { data: 1 })
      await lose(empty)
      await answer(world, 'b1', { 'ann/tab': { connection: 'c1', data: 1 } })
      await world.wait(60)
      const stored = await shared.store.loadUser('ann')
      expect(stored?.state.connections.map(({ id }) => id)).to.deep.equal(['c1'])
    })

    it('is found out however short it was away, and says nothing', async () => {
      await online('ann/tab', 'c1', { rooms })
      await world.wait(2)
      told()
      shared.break()
      shared.empty()
      shared.onLack = () => {}
      await world.clock.advance(400)
      await answer(world, 'b1', { 'ann/tab': { connection: 'c1', rooms } })
      await world.wait(60)
      expect(told()).to.deep.equal([])
      expect(await shared.store.allUsers()).to.deep.equal(['ann'])
    })

    it('says in the log when it goes, once, and when it is back', async () => {
      await lose(empty)
      const lines = world.logs.map(({ message }) => message)
      expect(lines.filter((line) => /does not answer|answers again/.test(line))).to.deep.equal([
        'the store does not answer; presence waits for it',
        'the store answers again',
      ])
    })

    it('tells why they went who went while it was away', async () => {
      await online('ann/tab', 'c1', { rooms })
      await online('bob/tab', 'd1', { rooms })
      await world.wait(20)
      await lose(empty, async () => {
        await left('ann/tab', 'c1')
        await world.ended('bob/tab', 'd1', 'closed')
      })
      await answer(world, 'b1')
      await world.wait(10)
      expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'left' })
      expect(world.retained('users/bob')).to.include({ status: 'offline', reason: 'closed' })
    })

    it('shows no room of which it has a part only', async () => {
      await online('ann/tab', 'c1', { rooms })
      await online('bob/tab', 'd1', { rooms })
      await online('eve/tab', 'e1', { rooms })
      await world.wait(2)
      const eve = await shared.store.loadUser('eve')
      if (!eve) throw new Error('nothing is stored')
      // The second change waits for its turn.
      await online('bob/tab', 'd1', { rooms: { lobby: 2 } })
      await online('bob/tab', 'd1', { rooms: { lobby: 3 } })
      told()
      shared.leave()
      shared.break()
      shared.empty()
      shared.onLack = () => {}
      // What was on its way when the store was lost reaches the new one.
      const member = { user: 'eve', status: 'online', since: iso(0), data: 1 } as const
      const here = [{ room: 'lobby', member, leave: null }]
      await shared.store.saveUser(saveOf(eve.state, { rooms: here }))
      await world.wait(1)
      expect(told()).to.deep.equal([])
      shared.comeBack()
      await world.wait(5)
      expect(world.retained('rooms/lobby')).to.include({ size: 3 })
    })

    it('shows as offline who left right before, unheard by readers', async () => {
      await online('ann/tab', 'c1', { rooms })
      await world.wait(2)
      world.link.fate = () => 'lost'
      await left('ann/tab', 'c1')
      await world.clock.advance(100)
      world.link.fate = () => undefined
      expect(world.retained('users/ann/status')).to.equal('online')
      await lose(empty)
      await answer(world, 'b1')
      await world.wait(20)
      expect(world.retained('users/ann')).to.include({ status: 'offline' })
      expect(world.retained('rooms/lobby')).to.deep.include({ size: 0 })
    })
  })

  it('says once more who has left, to one that has gone back to before', async () => {
    await online('ann/tab', 'c1', { rooms })
    await world.wait(2)
    const before = await shared.store.loadUser('ann')
    if (!before) throw new Error('nothing is stored')
    await left('ann/tab', 'c1')
    await world.wait(2)
    await lose(async () => {
      const now = await shared.store.loadUser('ann')
      await shared.store.saveUser({
        state: before.state,
        expected: now?.revision ?? 0,
        deadline: null,
        dirty: false,
        rooms: [],
      })
    })
    await answer(world, 'b1')
    await world.clock.advance(500)
    expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'left' })
  })

  describe('that another bridge has made good', () => {
    const GHOST = { user: 'ghost', status: 'online', since: iso(0), lastSeen: iso(0), reason: null }

    /** The readers of this bridge’s broker have this, and nobody else has. */
    function show(topic: string, document: object | string): void {
      world.link.send(`presence/${topic}`, document, true)
    }

    it('shows no room before those at its own broker have been heard again', async () => {
      await online('ann/tab', 'c1', { rooms })
      await online('bob/tab', 'd1')
      await world.wait(2)
      told()
      shared.empty()
      shared.makeGoodElsewhere()
      await world.clock.advance(1300)
      // Somebody comes into the room of which the other bridge knew nothing.
      await online('bob/tab', 'd1', { rooms })
      await world.clock.advance(300)
      expect(told().filter((line) => line.startsWith('rooms/'))).to.deep.equal([])
      await answer(world, 'b1', {
        'ann/tab': { connection: 'c1', rooms, stamp: ++stamp },
        'bob/tab': { connection: 'd1', rooms, stamp: ++stamp },
      })
      await world.wait(10)
      expect(world.retained('rooms/lobby')).to.include({ size: 2 })
      expect(told()).to.not.include('rooms/lobby/members/ann')
    })

    it('ends whom it shows and nobody knows', async () => {
      const version = world.clock.now() + 1
      show('users/ghost', { ...GHOST, connections: 1, data: null, version })
      show('users/ghost/status', 'online')
      show('rooms/lobby/members/ghost', { user: 'ghost', status: 'online', since: iso(0), data: 1 })
      shared.makeGoodElsewhere()
      await world.wait(30)
      expect(world.retained('users/ghost')).to.include({ status: 'offline', reason: 'broker' })
      expect(world.retained('users/ghost/status')).to.equal('offline')
      expect(world.retained('rooms/lobby/members/ghost')).to.equal(undefined)
    })

    it('shows what is true where something later is shown', async () => {
      await online('ann/tab', 'c1', { rooms })
      await world.wait(2)
      const [version, since] = [world.clock.now() + 5, iso(0)]
      show('users/ann', { ...GHOST, user: 'ann', connections: 2, data: null, version })
      show('rooms/lobby/members/bob', { user: 'bob', status: 'online', since, data: 1 })
      shared.makeGoodElsewhere()
      await world.wait(30)
      expect(world.retained('users/ann')).to.include({ status: 'online', connections: 1 })
      expect(world.retained('users/ann')).to.have.property('version').that.is.above(version)
      expect(world.retained('rooms/lobby/members/bob')).to.equal(undefined)
      expect(world.retained('rooms/lobby')).to.include({ size: 1 })
    })

    it('says once more who has left', async () => {
      await online('ann/tab', 'c1', { rooms })
      await world.wait(2)
      const before = await shared.store.loadUser('ann')
      if (!before) throw new Error('nothing is stored')
      await left('ann/tab', 'c1')
      await world.wait(2)
      const now = await shared.store.loadUser('ann')
      const expected = now?.revision ?? 0
      await shared.store.saveUser(saveOf(before.state, { expected }))
      shared.makeGoodElsewhere()
      await world.clock.advance(1500)
      await answer(world, 'b1')
      await world.clock.advance(1500)
      expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'left' })
    })

    it('leaves alone what is right', async () => {
      await online('ann/tab', 'c1', { rooms })
      await world.wait(2)
      told()
      shared.makeGoodElsewhere()
      await world.clock.advance(1500)
      await answer(world, 'b1', { 'ann/tab': { connection: 'c1', rooms, stamp: ++stamp } })
      await world.wait(30)
      expect(told()).to.deep.equal([])
    })
  })

  for (const { title, silentFor, lost } of [
    { title: 'counts the silence of a broker on when it is back', silentFor: 7, lost: true },
    { title: 'does not count the time without it as a silence', silentFor: 1, lost: false },
  ]) {
    it(title, async () => {
      world.brokers.add('b2')
      await online('bob/tab', 'd1', { broker: 'b2' })
      await world.wait(10)
      world.brokers.delete('b2')
      await world.wait(silentFor)
      await lose(undefined)
      await answer(world, 'b1')
      await world.wait(4)
      const stored = await shared.store.loadUser('bob')
      expect(stored?.state.connections.map(({ status }) => status)).to.deep.equal([
        lost ? 'grace' : 'up',
      ])
    })
  }

  it('holds whom it restored until all have announced themselves, and no longer', async () => {
    await online('ann/tab', 'c1', { rooms })
    await online('bob/tab', 'd1')
    await world.wait(70)
    await lose(() => shared.empty())
    await answer(world, 'b1', { 'ann/tab': { connection: 'c1', rooms, stamp: ++stamp } })
    await world.wait(4)
    expect(world.retained('users/bob/status')).to.equal('online')
    await world.wait(3)
    expect(world.retained('users/bob/status')).to.equal('offline')
    expect(world.retained('users/ann/status')).to.equal('online')
  })

  it('holds them as long anew when it is lost once more', async () => {
    await online('bob/tab', 'd1')
    await world.wait(70)
    await lose(() => shared.empty())
    await answer(world, 'b1')
    await world.wait(4.6)
    shared.break()
    shared.empty()
    shared.onLack = () => {}
    await world.clock.advance(400)
    await answer(world, 'b1')
    await world.wait(4.5)
    expect(world.retained('users/bob/status')).to.equal('online')
    await world.wait(3)
    expect(world.retained('users/bob/status')).to.equal('offline')
  })

  it('holds whom it restored for the whole grace when a broker was lost', async () => {
    world.brokers.add('b2')
    await online('bob/tab', 'd1', { broker: 'b2' })
    await world.wait(70)
    world.brokers.delete('b2')
    await world.wait(7)
    await lose(() => shared.empty())
    await answer(world, 'b1')
    await world.wait(8)
    expect(world.retained('users/bob/status')).to.equal('online')
    await world.wait(10)
    expect(world.retained('users/bob/status')).to.equal('offline')
  })

  it('asks again when what is retained cannot be read: until then ends wait', async () => {
    await online('ann/tab', 'c1')
    await world.wait(70)
    const read = world.link.readRetained.bind(world.link)
    let failures = 2
    world.link.readRetained = async (filters) => {
      if (filters.length === 1 && failures-- > 0)
        throw new Error('the broker closed the connection')
      return read(filters)
    }
    await lose(() => shared.empty())
    await world.wait(4)
    await answer(world, 'b1')
    await world.wait(20)
    expect(failures).to.be.below(0)
    expect(world.retained('users/ann/status')).to.equal('offline')
  })

  it('publishes no room that it took while it lost sight of the store, but does so afterwards', async () => {
    await online('ann/tab', 'c1', { rooms })
    await world.wait(2)
    told()
    const flushRoom = shared.store.flushRoom.bind(shared.store)
    let flushes = 0
    const breakOnce: Store['flushRoom'] = (...args) => {
      if (++flushes === 1) shared.break()
      return flushRoom(...args)
    }
    Object.assign(shared.store, { flushRoom: breakOnce })
    shared.leave()
    await online('bob/tab', 'd1', { rooms })
    await world.wait(5)
    expect(flushes).to.equal(1)
    expect(told().filter((line) => line.startsWith('rooms/'))).to.deep.equal([])
    shared.comeBack()
    await world.wait(5)
    expect(world.retained('rooms/lobby')).to.include({ size: 2 })
  })

  it('keeps in its rooms who was in grace and came back while it was away', async () => {
    await online('ann/tab', 'c1', { rooms })
    const since = new Date(world.clock.now()).toISOString()
    await world.wait(2)
    await world.say('ann/tab', {
      status: 'offline',
      connection: 'c1',
      broker: 'b1',
      reason: 'closed',
      ended: true,
      stamp: ++stamp,
    })
    await world.wait(3)
    told()
    await lose(
      () => {},
      async () => {
        await online('ann/phone', 'd1')
        await online('ann/tab', 'c2', { rooms })
      },
    )
    await answer(world, 'b1', {
      'ann/phone': { connection: 'd1' },
      'ann/tab': { connection: 'c2', rooms },
    })
    await world.wait(20)
    expect(told()).to.not.include('rooms/lobby/members/ann')
    expect(world.retained('rooms/lobby/members/ann')).to.include({ since })
  })

  it('waits with ends that have waited for it, until others have told who has come', async () => {
    await online('ann/tab', 'c1')
    await world.wait(2)
    told()
    await lose(
      () => {},
      () => left('ann/tab', 'c1'),
    )
    await answer(world, 'b1')
    // As another bridge would store it, which was a little slower.
    await online('ann/phone', 'd1', { broker: 'b2' })
    await world.wait(5)
    expect(told().filter((line) => line.endsWith('offline'))).to.deep.equal([])
    expect(world.retained('users/ann')).to.include({ status: 'online', connections: 1 })
  })

  for (const [title, onLack] of [
    ['that has its data', undefined],
    ['that lacks some', (): void => {}],
  ] as const) {
    it(`${title}: waits with leaving a room, too, and with what the same connection says after that`, async () => {
      await online('ann/tab', 'c1', { rooms: { lobby: 1, den: 1 } })
      await world.wait(2)
      told()
      await lose(onLack, async () => {
        await online('ann/tab', 'c1', { rooms: { den: 1 } })
        await online('ann/tab', 'c1', { rooms: { den: 1, attic: 1 }, data: 'last' })
      })
      // Where it has come is known at once.
      expect((await roomsOf('ann')).toSorted()).to.deep.equal(['attic', 'den', 'lobby'])
      const inAttic = { rooms: { den: 1, attic: 1 }, data: 'last' }
      await answer(world, 'b1', { 'ann/tab': { connection: 'c1', ...inAttic, stamp: ++stamp } })
      await online('ann/phone', 'd1', { broker: 'b2', rooms })
      await world.wait(5)
      expect(told()).to.not.include('rooms/lobby/members/ann')
      expect((await roomsOf('ann')).toSorted()).to.deep.equal(['attic', 'den', 'lobby'])
      expect(world.retained('users/ann')).to.include({ data: 'last', connections: 2 })
      // The phone alone holds the lobby.
      await left('ann/phone', 'd1')
      await world.wait(2)
      expect(world.retained('rooms/lobby')).to.deep.include({ size: 0 })
    })
  }

  it('does not take for news what has waited, when its client has come back by another broker', async () => {
    world.brokers.add('b2')
    await online('ann/tab', 'c1', { rooms: { lobby: 1, den: 1 }, data: 'old' })
    await world.wait(2)
    await lose(undefined, () => online('ann/tab', 'c1', { rooms: { den: 1 } }))
    // The answer of that broker to the roll call comes first.
    const said = { rooms: { lobby: 1, den: 1 }, data: 'new', stamp: ++stamp }
    await answer(world, 'b2', { 'ann/tab': { connection: 'd1', ...said } })
    await world.wait(5)
    expect(world.retained('users/ann')).to.include({ data: 'new', connections: 1 })
    expect(world.retained('rooms/lobby')).to.include({ size: 1 })
    const stored = await shared.store.loadUser('ann')
    expect(stored?.state.connections.map(({ id }) => id)).to.deep.equal(['d1'])
  })

  it('shows nobody as offline between the return of its link and the answer to its roll call', async () => {
    await online('ann/tab', 'c1')
    await left('ann/tab', 'c1')
    await world.wait(2)
    world.link.goDown()
    await world.wait(2)
    await world.link.comeUp(false)
    await world.clock.advance(100)
    // A tab has come unheard.
    await online('ann/phone', 'd1')
    await left('ann/phone', 'd1')
    await world.clock.advance(1000)
    told()
    await answer(world, 'b1', { 'ann/tab': { connection: 'c2' } })
    await world.wait(20)
    expect(told().filter((line) => line.endsWith('offline'))).to.deep.equal([])
    expect(world.retained('users/ann')).to.include({ status: 'online', connections: 1 })
  })

  describe('whose broker has lost what was retained', () => {
    beforeEach(async () => {
      for (const user of ['ann', 'bob', 'eve']) await online(`${user}/tab`, user, { rooms })
      await world.wait(2)
      world.link.goDown()
      world.link.retained.clear()
    })

    async function isWhole(): Promise<void> {
      await answer(world, 'b1', {
        'ann/tab': { connection: 'ann', rooms },
        'bob/tab': { connection: 'bob', rooms },
        'eve/tab': { connection: 'eve', rooms },
      })
      await world.wait(5)
      for (const user of ['ann', 'bob', 'eve']) {
        expect(world.retained(`users/${user}/status`)).to.equal('online')
        expect(world.retained(`users/${user}`)).to.include({ status: 'online' })
      }
      expect(world.retained('rooms/lobby')).to.include({ size: 3 })
    }

    it('publishes everything', async () => {
      await world.link.comeUp(false)
      await world.wait(1)
      await isWhole()
    })

    it('so does another one when it dies while it does so, though it has said online', async () => {
      world.link.fate = ({ topic }) => (topic === 'presence/bridge/status' ? undefined : 'lost')
      await world.link.comeUp(false)
      await world.clock.advance(100)
      expect(world.retained('bridge/status')).to.equal('online')
      world = await world.restart(1)
      await isWhole()
    })

    it('and so does it although a will of another one is retained', async () => {
      world.link.retained.set('presence/bridge/status', 'offline')
      await world.link.comeUp(false)
      await world.wait(1)
      await isWhole()
    })

    it('and does not say online before it has begun to, though another one has gone', async () => {
      const allUsers = shared.store.allUsers.bind(shared.store)
      let begin = (): void => {}
      const begun = new Promise<void>((resolve) => (begin = resolve))
      Object.assign(shared.store, { allUsers: () => begun.then(allUsers) })
      await world.link.comeUp(false)
      await world.clock.advance(400)
      world.link.send('presence/bridge/status', 'offline', true)
      await world.clock.advance(400)
      expect(world.retained('bridge/status')).to.equal('offline')
      begin()
      await world.wait(1)
      expect(world.retained('bridge/status')).to.equal('online')
      await isWhole()
    })

    it('and when the link breaks once more meanwhile', async () => {
      const readRetained = world.link.readRetained.bind(world.link)
      world.link.readRetained = (filters) =>
        filters.includes('presence/bridge/status') && filters.length === 1
          ? Promise.reject(new Error('the link is down'))
          : readRetained(filters)
      await world.link.comeUp(false)
      await world.clock.advance(400)
      world.link.goDown()
      world.link.readRetained = readRetained
      await world.link.comeUp(true)
      await world.wait(1)
      await isWhole()
    })
  })
})
