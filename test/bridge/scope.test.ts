import { expect } from 'chai'
import { createUserState, resolvePolicy, step } from '../../bridge/core/index.ts'
import { answer, createShared, type Shared } from './shared-store.ts'
import { saveOf } from './store/samples.ts'
import { World } from './world.ts'

const rooms = { lobby: 1 }

/** How many roll calls there were since the last look. */
function calls(world: World): number {
  return world.take().filter((line) => line.startsWith('rollcall')).length
}

describe('a bridge that hears the documents of one broker only', () => {
  let world: World
  let shared: Shared
  let hearsOthers = true
  beforeEach(async () => {
    hearsOthers = true
    shared = createShared(() => world)
    world = await World.start({
      scope: { broker: 'b1', hearsOthers: () => hearsOthers },
      store: shared.store,
    })
    world.brokers.add('b2')
    await world.wait(2)
    world.take()
  })
  afterEach(() => world.bridge.close())

  /** Another bridge has stored a connection of its own broker. */
  async function elsewhere(name: string, broker: string): Promise<void> {
    await world.online(name, `of-${name}`, { broker, rooms })
    await world.wait(1)
  }

  it('calls no roll when it hears another broker for the first time, or again', async () => {
    await world.beat('b3')
    await world.wait(20)
    await world.beat('b3')
    expect(calls(world)).to.equal(0)
  })

  it('concludes nothing about others from a roll call, whoever answers', async () => {
    await elsewhere('ann/tab', 'b2')
    await world.say('lamp/lamp', 'online')
    world.link.goDown()
    await world.link.comeUp(false)
    await world.wait(1)
    await answer(world, 'b2')
    await world.wait(60)
    expect(world.retained('users/ann/status')).to.equal('online')
    expect(world.retained('users/lamp/status')).to.equal('online')
  })

  it('ends what its own broker does not announce', async () => {
    await world.online('bob/tab', 'c1', { rooms })
    const later = await world.restart(0)
    await answer(later, 'b1')
    await later.wait(20)
    expect(later.retained('users/bob')).to.include({ status: 'offline', reason: 'broker' })
    await later.bridge.close()
  })

  it('ends the connections of another broker that falls silent, and says so', async () => {
    await elsewhere('ann/tab', 'b2')
    world.brokers.delete('b2')
    await world.wait(7)
    expect(shared.lost).to.deep.equal(new Set())
    await world.wait(2)
    expect(shared.lost).to.deep.equal(new Set(['b2']))
    await world.wait(16)
    expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'broker' })
  })

  it('ends nobody whose broker is silent, and may have heard them again', async () => {
    await elsewhere('ann/tab', 'b2')
    await world.say('ann/tab', {
      status: 'offline',
      connection: 'of-ann/tab',
      broker: 'b2',
      reason: 'closed',
      ended: true,
    })
    world.brokers.delete('b2')
    world.take()
    // The grace of 5 s is over.
    await world.wait(7)
    world.brokers.add('b2')
    await world.online('ann/tab', 'again', { broker: 'b2', rooms })
    await world.wait(30)
    expect(world.take()).to.deep.equal([])
  })

  it('nor anybody else meanwhile: they may have come back there', async () => {
    await world.beat('b2')
    await world.online('ann/tab', 'c1', { rooms })
    await world.wait(1)
    world.take()
    world.brokers.delete('b2')
    await world.wait(2.5)
    await world.ended('ann/tab', 'c1', 'closed')
    await world.wait(5.5)
    world.brokers.add('b2')
    await world.online('ann/tab', 'c2', { broker: 'b2', rooms })
    await world.wait(30)
    expect(world.take()).to.deep.equal([])
  })

  for (const { title, back } of [
    { title: 'ends them when the broker is heard and has nothing to say', back: true },
    { title: 'ends them when the broker is lost', back: false },
  ]) {
    it(title, async () => {
      await elsewhere('ann/tab', 'b2')
      await world.say('ann/tab', {
        status: 'offline',
        connection: 'of-ann/tab',
        broker: 'b2',
        reason: 'closed',
        ended: true,
      })
      world.brokers.delete('b2')
      await world.wait(6)
      expect(world.retained('users/ann/status')).to.equal('online')
      if (back) world.brokers.add('b2')
      await world.wait(back ? 3 : 5)
      expect(world.retained('users/ann')).to.include({ status: 'offline', reason: 'closed' })
    })
  }

  it('calls the roll again when another bridge has taken its broker for lost', async () => {
    await world.wait(5)
    expect(calls(world)).to.equal(0)
    shared.lost.add('b1')
    await world.wait(5)
    expect(calls(world)).to.equal(1)
  })

  it('calls it after a stall of its own of more than 5 s, and not after a shorter one', async () => {
    world.clock.jump(4500)
    await world.wait(1)
    expect(calls(world)).to.equal(0)
    world.clock.jump(6000)
    await world.wait(1)
    expect(calls(world)).to.equal(1)
  })

  it('takes no broker for lost while its own hears no other, then gives them the full time and calls the roll', async () => {
    await elsewhere('ann/tab', 'b2')
    hearsOthers = false
    world.brokers.delete('b2')
    await world.wait(60)
    expect(calls(world)).to.equal(0)
    hearsOthers = true
    await world.wait(8)
    expect(shared.lost).to.deep.equal(new Set())
    expect(calls(world)).to.equal(1)
    await world.wait(3)
    expect(shared.lost).to.deep.equal(new Set(['b2']))
  })

  it('takes none for lost while the store is away', async () => {
    await elsewhere('ann/tab', 'b2')
    shared.leave()
    world.brokers.delete('b2')
    await world.wait(60)
    shared.comeBack()
    await world.wait(8)
    expect(shared.lost).to.deep.equal(new Set())
    await world.wait(4)
    expect(shared.lost).to.deep.equal(new Set(['b2']))
  })

  it('says again to a store that has lost something what it has heard lately, but not as news', async () => {
    await world.online('ann/tab', 'c1', { rooms })
    await world.wait(5)
    shared.leave()
    await world.wait(5)
    // The bridge of another broker was faster: the client is there by now.
    shared.onLack = async () => {
      const stored = await shared.store.loadUser('ann')
      const document = { status: 'online', connection: 'c2', broker: 'b2' } as const
      const input = { type: 'document', client: 'tab', document } as const
      const [state] = step(createUserState('ann'), input, world.clock.now(), resolvePolicy())
      await shared.store.saveUser(saveOf(state, { expected: stored?.revision ?? 0 }))
    }
    shared.comeBack()
    await world.wait(5)
    await world.ended('ann/tab', 'c1', 'closed')
    await world.wait(60)
    const stored = await shared.store.loadUser('ann')
    expect(stored?.state.connections.map(({ id }) => id)).to.deep.equal(['c2'])
  })
})
