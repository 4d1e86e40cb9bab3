import { expect } from 'chai'
import { World } from './world.ts'

const rooms = { lobby: { color: 'red' } }

/** A user with one tab in the lobby, of whom everything has been told. */
async function settled(world: World): Promise<void> {
  world.brokers.add('b2')
  await world.online('ann/tab', 'c1', { rooms, data: 1 })
  await world.wait(10)
  world.take()
}

interface Silent {
  readonly fact: string
  readonly happen: (world: World) => Promise<void>
}

const SILENT: readonly Silent[] = [
  {
    fact: 'a refresh',
    async happen(world) {
      await world.say('ann/tab', {
        status: 'offline',
        connection: 'c1',
        broker: 'b1',
        reason: 'unload',
      })
      await world.ended('ann/tab', 'c1', 'closed')
      await world.wait(0.3)
      await world.online('ann/tab', 'c2')
      await world.online('ann/tab', 'c2', { seq: 1, rooms, data: 1 })
    },
  },
  {
    fact: 'a refresh under a new client id',
    async happen(world) {
      await world.ended('ann/tab', 'c1', 'closed')
      await world.online('ann/tab-2', 'c2')
      await world.online('ann/tab-2', 'c2', { seq: 1, rooms, data: 1 })
    },
  },
  {
    fact: 'a takeover by the same client id, and the late will of the connection that it replaced',
    async happen(world) {
      await world.online('ann/tab', 'c2')
      await world.ended('ann/tab', 'c1', 'closed')
      await world.online('ann/tab', 'c2', { seq: 1, rooms, data: 1 })
    },
  },
  {
    fact: 'a reconnect on another broker',
    async happen(world) {
      await world.ended('ann/tab', 'c1', 'error')
      await world.wait(4)
      await world.online('ann/tab', 'c2', { broker: 'b2', rooms, data: 1 })
    },
  },
  {
    fact: 'ten refreshes in a row, faster than any grace',
    async happen(world) {
      for (let i = 1; i <= 10; i++) {
        await world.ended('ann/tab', `c${i}`, 'closed')
        await world.wait(0.5)
        await world.online('ann/tab', `c${i + 1}`, { rooms, data: 1 })
      }
    },
  },
  {
    fact: 'documents that say again what was said, and keepalive by repetition',
    async happen(world) {
      for (let i = 0; i < 5; i++) await world.online('ann/tab', 'c1', { rooms, data: 1 })
    },
  },
  {
    fact: 'what is stale: an ended id, a lower seq, the end of what was never announced',
    async happen(world) {
      await world.online('ann/tab', 'c1', { seq: 8 })
      await world.online('ann/tab', 'c1', { seq: 7, rooms: {} })
      await world.ended('ann/tab', 'c0', 'left')
      await world.online('ann/tab', 'c0', { rooms: { attic: 1 } })
      await world.say('ann/phone', 'offline')
      await world.say('ann/phone', '')
    },
  },
]

describe('a bridge is silent about', () => {
  for (const { fact, happen } of SILENT) {
    it(fact, async () => {
      const world = await World.start()
      await settled(world)
      const before = world.shown()
      await happen(world)
      // Longer than every grace, then a marker: what comes before it is everything.
      await world.wait(60)
      await world.say('marker/tab', 'online')
      expect(world.take()).to.deep.equal(['users/marker {…}', 'users/marker/status online'])
      for (const [topic, document] of Object.entries(before)) {
        expect(world.retained(topic)).to.deep.equal(document)
      }
      await world.bridge.close()
    })
  }

  it('a second and a third connection of a user, in the room: only the user’s count changes', async () => {
    const world = await World.start()
    await settled(world)
    await world.online('ann/phone', 'c2', { rooms })
    await world.online('ann/desk', 'c3', { rooms })
    await world.wait(60)
    expect(world.take()).to.deep.equal(['users/ann {…}', 'users/ann {…}'])
    expect(world.retained('users/ann')).to.include({ connections: 3 })
    await world.bridge.close()
  })

  it('a takeover when the client comes back in other rooms: those rooms tell, not the user', async () => {
    const world = await World.start()
    await settled(world)
    await world.online('ann/tab', 'c2', { rooms: { attic: 1 }, data: 1 })
    await world.wait(60)
    expect(world.take().filter((line) => line.startsWith('users/'))).to.deep.equal([])
    expect(world.retained('rooms/lobby/count')).to.equal('0')
    expect(world.retained('rooms/attic/count')).to.equal('1')
    await world.bridge.close()
  })
})
