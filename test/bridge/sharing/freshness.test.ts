import { expect } from 'chai'
import { answer, createShared, type Shared } from '../shared-store.ts'
import { World } from '../world.ts'

describe('a bridge whose store is away', () => {
  let world: World
  let shared: Shared
  beforeEach(async () => {
    shared = createShared(() => world)
    world = await World.start({ store: shared.store })
    await answer(world, 'b1')
    await world.wait(4)
    world.take()
  })
  afterEach(() => world.bridge.close())

  /** What readers were told of the freshness of presence since the last look. */
  function told(): string[] {
    return world.take().filter((line) => line.startsWith('bridge/status'))
  }

  it('says that presence is not fresh after 3 s, and that it is when it has caught up', async () => {
    shared.break()
    shared.leave()
    await world.wait(2.9)
    expect(told()).to.deep.equal([])
    await world.wait(0.2)
    expect(told()).to.deep.equal(['bridge/status offline'])
    await world.wait(30)
    expect(told()).to.deep.equal([])
    shared.comeBack()
    await world.wait(1)
    expect(told()).to.deep.equal(['bridge/status online'])
  })

  it('counts from when it was asked in vain', async () => {
    shared.leave()
    await world.wait(2.7)
    expect(told()).to.deep.equal([])
    await world.wait(0.6)
    expect(told()).to.deep.equal(['bridge/status offline'])
  })

  it('says so each time', async () => {
    for (let n = 0; n < 2; n++) {
      shared.break()
      shared.leave()
      await world.wait(5)
      shared.comeBack()
      await world.wait(5)
      expect(told()).to.deep.equal(['bridge/status offline', 'bridge/status online'])
    }
  })

  it('says nothing of a short break', async () => {
    shared.break()
    shared.leave()
    await world.wait(2)
    shared.comeBack()
    await world.wait(10)
    expect(told()).to.deep.equal([])
  })

  it('contradicts another one that said so meanwhile, and is gone', async () => {
    shared.break()
    shared.leave()
    await world.wait(1)
    world.link.send('presence/bridge/status', 'offline', true)
    await world.wait(1)
    expect(told()).to.deep.equal([])
    shared.comeBack()
    await world.wait(1)
    expect(told()).to.deep.equal(['bridge/status online'])
  })

  it('says so when it has no broker then, as soon as it has one and the store is back', async () => {
    shared.break()
    shared.leave()
    world.link.goDown()
    await world.wait(5)
    await world.link.comeUp(true)
    await world.wait(5)
    expect(told()).to.deep.equal([])
    shared.comeBack()
    await world.wait(1)
    expect(told()).to.deep.equal(['bridge/status online'])
    shared.break()
    shared.leave()
    await world.wait(4)
    expect(told()).to.deep.equal(['bridge/status offline'])
  })
})
