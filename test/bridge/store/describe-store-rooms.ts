import { expect } from 'chai'
import type { RoomFlush, RoomSave, Store } from '../../../bridge/index.ts'
import type { Json } from '../../../protocol/index.ts'
import { leave, member, NAMES, saveOf, stateOf } from './samples.ts'

const LIMIT = 3

interface Subject {
  readonly store: () => Store
  readonly now: () => number
  readonly wait: (ms: number) => void
}

/** What every store has to do with rooms. */
export function describeStoreRooms({ store, now, wait }: Subject): void {
  /** A user's step that changes one room. */
  async function change(user: string, save: RoomSave): Promise<void> {
    const expected = (await store().loadUser(user))?.revision ?? 0
    const revision = await store().saveUser(saveOf(stateOf(user), { expected, rooms: [save] }))
    expect(revision).not.to.equal(undefined)
  }

  const join = (room: string, user: string, data: Json = null) =>
    change(user, { room, member: member(user, data), leave: null })

  const part = (room: string, user: string) =>
    change(user, { room, member: null, leave: leave(user) })

  const flush = (room = 'lobby') => store().flushRoom(room, now(), LIMIT)

  async function flushed(room = 'lobby'): Promise<RoomFlush> {
    const result = await flush(room)
    if (!result) throw new Error('expected something to flush')
    return result
  }

  describe('rooms', () => {
    it('are unknown, empty and clean at first', async () => {
      expect(await store().allRooms()).to.deep.equal([])
      expect(await store().dirtyRooms()).to.deep.equal([])
      expect(await store().roomSize('lobby')).to.equal(0)
      expect(await store().roomMembers('lobby')).to.deep.equal([])
      expect(await flush()).to.equal(undefined)
    })

    for (const name of NAMES) {
      it(`may be called ${name.slice(0, 20)}, and so may their members`, async () => {
        await join(name, name, { [name]: 1 })
        expect(await store().allRooms()).to.deep.equal([name])
        expect(await store().dirtyRooms()).to.deep.equal([name])
        expect(await store().roomMembers(name)).to.deep.equal([member(name, { [name]: 1 })])
        expect((await flushed(name)).joined).to.deep.equal([member(name, { [name]: 1 })])
      })
    }

    it('have their members in the order of joining', async () => {
      for (const user of ['cat', 'ann', 'bob']) await join('lobby', user)
      await join('lobby', 'cat', 'updated')
      await part('lobby', 'ann')
      await join('lobby', 'ann')
      const users = (await store().roomMembers('lobby')).map(({ user }) => user)
      expect(users).to.deep.equal(['cat', 'bob', 'ann'])
      expect(await store().roomSize('lobby')).to.equal(3)
    })

    it('are changed by one user in one step together', async () => {
      const rooms = ['lobby', 'attic'].map((room) => ({ room, member: member('ann'), leave: null }))
      await store().saveUser(saveOf(stateOf('ann'), { rooms }))
      expect(new Set(await store().dirtyRooms())).to.deep.equal(new Set(['lobby', 'attic']))
    })
  })

  describe('a flush', () => {
    it('gives what changed, the members, and a version', async () => {
      await join('lobby', 'ann', 1)
      expect(await flushed()).to.deep.equal({
        room: 'lobby',
        version: now(),
        previous: 0,
        size: 1,
        complete: true,
        members: [member('ann', 1)],
        joined: [member('ann', 1)],
        updated: [],
        left: [],
        whole: false,
        strays: [],
      })
    })

    it('gives only what changed since the one before', async () => {
      await join('lobby', 'ann')
      await join('lobby', 'bob')
      const { version } = await flushed()
      wait(10)
      await join('lobby', 'cat')
      await join('lobby', 'bob', 2)
      await part('lobby', 'ann')
      const second = await flushed()
      expect(second.previous).to.equal(version)
      expect(second.version).to.equal(version + 10)
      expect(second.joined).to.deep.equal([member('cat')])
      expect(second.updated).to.deep.equal([member('bob', 2)])
      expect(second.left).to.deep.equal([leave('ann')])
      expect(second.members).to.deep.equal([member('bob', 2), member('cat')])
    })

    it('has a version that grows though the clock stands still or goes back', async () => {
      const versions: number[] = []
      for (const data of [1, 2, 3]) {
        await join('lobby', 'ann', data)
        versions.push((await flushed()).version)
        wait(-1000)
      }
      const [first = 0] = versions
      expect(versions).to.deep.equal([first, first + 1, first + 2])
      wait(3000)
    })

    it('does not tell of who joined and left in between', async () => {
      await join('lobby', 'ann')
      await part('lobby', 'ann')
      expect(await flush()).to.equal(undefined)
    })

    it('does not tell of what changed and changed back', async () => {
      await join('lobby', 'ann', 1)
      await flushed()
      await join('lobby', 'ann', 2)
      await join('lobby', 'ann', 1)
      expect(await flush()).to.equal(undefined)
    })

    it('tells of a leave since when readers saw the member, whatever happened in between', async () => {
      await join('lobby', 'ann', 1)
      await flushed()
      await part('lobby', 'ann')
      const again = { ...member('ann'), since: '2026-01-02T00:00:00.000Z' }
      await change('ann', { room: 'lobby', member: again, leave: null })
      await part('lobby', 'ann')
      expect((await flushed()).left).to.deep.equal([leave('ann')])
    })

    it('of a room above the limit leaves the members out, and crosses back', async () => {
      const users = ['ann', 'bob', 'cat', 'dan']
      for (const user of users) await join('lobby', user)
      const above = await flushed()
      expect(above).to.include({ size: 4, complete: false, members: null })
      expect(above.joined).to.have.length(4)
      await part('lobby', 'ann')
      const below = await flushed()
      expect(below).to.include({ size: 3, complete: true })
      expect(below.members).to.have.length(3)
    })

    it('leaves the room dirty until it is cleared at that version', async () => {
      await join('lobby', 'ann')
      const { version } = await flushed()
      expect(await store().dirtyRooms()).to.deep.equal(['lobby'])
      await store().clearRoom('lobby', version - 1)
      expect(await store().dirtyRooms()).to.deep.equal(['lobby'])
      await store().clearRoom('lobby', version)
      expect(await store().dirtyRooms()).to.deep.equal([])
    })

    it('does not clear what has changed since', async () => {
      await join('lobby', 'ann')
      const { version } = await flushed()
      await join('lobby', 'bob')
      await store().clearRoom('lobby', version)
      expect(await store().dirtyRooms()).to.deep.equal(['lobby'])
      expect((await flushed()).joined).to.deep.equal([member('bob')])
    })

    it('of nothing leaves the room clean', async () => {
      await join('lobby', 'ann')
      await part('lobby', 'ann')
      await flush()
      expect(await store().dirtyRooms()).to.deep.equal([])
    })
  })

  describe('doubt', () => {
    it('brings the whole room once, though nothing has changed and it is above the limit', async () => {
      for (const user of ['ann', 'bob', 'cat', 'dan']) await join('lobby', user)
      const { version } = await flushed()
      await store().clearRoom('lobby', version)
      await store().doubtRoom('lobby')
      expect(await store().dirtyRooms()).to.deep.equal(['lobby'])
      const whole = await flushed()
      expect(whole).to.include({ whole: true, complete: false, size: 4, previous: version })
      expect(whole.members).to.have.length(4)
      expect(whole.joined).to.deep.equal([])
      expect(await flush()).to.equal(undefined)
    })

    it('outlives the clearing of a version that was published meanwhile', async () => {
      await join('lobby', 'ann')
      const { version } = await flushed()
      await store().doubtRoom('lobby')
      await store().clearRoom('lobby', version)
      expect(await store().dirtyRooms()).to.deep.equal(['lobby'])
      expect((await flushed()).whole).to.equal(true)
    })

    it('remembers who left in a flush that was never published, as often as it takes', async () => {
      for (const user of ['ann', 'bob', 'cat']) await join('lobby', user)
      await store().clearRoom('lobby', (await flushed()).version)
      await part('lobby', 'ann')
      await part('lobby', 'bob')
      await flushed()
      await join('lobby', 'bob')
      await store().doubtRoom('lobby')
      expect((await flushed()).strays).to.deep.equal(['ann'])
      await store().doubtRoom('lobby')
      const second = await flushed()
      expect(second.strays).to.deep.equal(['ann'])
      await store().clearRoom('lobby', second.version)
      await store().doubtRoom('lobby')
      expect((await flushed()).strays).to.deep.equal([])
    })

    it('takes strays that are known otherwise, unless they are members', async () => {
      await join('lobby', 'ann')
      await store().doubtRoom('lobby', ['ann', 'bob'])
      expect((await flushed()).strays).to.deep.equal(['bob'])
    })

    it('may be of a room that nobody knows', async () => {
      await store().doubtRoom('lobby', ['ann'])
      expect(await flushed()).to.include({ size: 0, whole: true, complete: true })
    })
  })

  describe('a room that is restored', () => {
    it('goes on from the version and the members that readers were shown', async () => {
      await store().restoreRoom('lobby', now() + 5000, [member('ann', 1), member('bob')])
      expect(await store().dirtyRooms()).to.deep.equal([])
      await join('lobby', 'ann', 1)
      await part('lobby', 'bob')
      await join('lobby', 'cat')
      const { version, previous, joined, updated, left } = await flushed()
      expect([previous, version]).to.deep.equal([now() + 5000, now() + 5001])
      expect(joined).to.deep.equal([member('cat')])
      expect(updated).to.deep.equal([])
      expect(left).to.deep.equal([leave('bob')])
    })
  })

  describe('empty rooms', () => {
    it('are taken, and forgotten, when they have been empty for long', async () => {
      await join('lobby', 'ann')
      await join('attic', 'bob')
      await part('lobby', 'ann')
      const versions: Record<string, number> = {}
      for (const room of ['lobby', 'attic']) {
        const { version = 0 } = (await flush(room)) ?? {}
        versions[room] = version
        await store().clearRoom(room, version)
      }
      const emptied = now()
      wait(1000)
      expect(await store().takeEmptyRooms(emptied, 10)).to.deep.equal([])
      expect(await store().takeEmptyRooms(emptied + 1, 10)).to.deep.equal([
        { room: 'lobby', version: versions['lobby'] },
      ])
      expect(await store().takeEmptyRooms(emptied + 1, 10)).to.deep.equal([])
      expect(await store().allRooms()).to.deep.equal(['attic'])
    })

    it('are not taken before readers know that they are empty', async () => {
      await join('lobby', 'ann')
      await store().clearRoom('lobby', (await flushed()).version)
      await part('lobby', 'ann')
      wait(1000)
      expect(await store().takeEmptyRooms(now(), 10)).to.deep.equal([])
      const { version } = await flushed()
      await store().clearRoom('lobby', version)
      expect(await store().takeEmptyRooms(now(), 10)).to.deep.equal([{ room: 'lobby', version }])
    })

    it('are not taken when somebody has come back', async () => {
      await store().restoreRoom('lobby', 5, [])
      await join('lobby', 'ann')
      await store().clearRoom('lobby', (await flushed()).version)
      wait(1000)
      expect(await store().takeEmptyRooms(now(), 10)).to.deep.equal([])
    })

    it('are taken as many as are asked for', async () => {
      for (const room of ['r1', 'r2', 'r3']) await store().restoreRoom(room, 5, [])
      wait(1000)
      expect(await store().takeEmptyRooms(now(), 2)).to.have.length(2)
      expect(await store().takeEmptyRooms(now(), 2)).to.have.length(1)
    })
  })
}
