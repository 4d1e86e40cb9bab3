import { expect } from 'chai'
import type { Store, UserSave } from '../../../bridge/index.ts'
import { describeStoreRooms } from './describe-store-rooms.ts'
import { NAMES, saveOf, stateOf } from './samples.ts'

/** Creates an empty store that takes the time from here. */
export type CreateStore = (now: () => number) => Promise<Store>

/** What every store has to do. */
export function describeStore(name: string, create: CreateStore): void {
  describe(name, () => {
    let store: Store
    let now = 1_700_000_000_000

    beforeEach(async () => {
      store = await create(() => now)
    })
    afterEach(() => store.close())

    async function save(user: string, changes: Partial<UserSave> = {}): Promise<number> {
      const revision = await store.saveUser(saveOf(stateOf(user), changes))
      if (revision === undefined) throw new Error('expected to be the first to save')
      return revision
    }

    describe('users', () => {
      it('knows nobody at first', async () => {
        expect(await store.loadUser('ann')).to.equal(undefined)
        expect(await store.allUsers()).to.deep.equal([])
        expect(await store.dirtyUsers()).to.deep.equal([])
        expect(await store.nextDeadline()).to.equal(null)
        expect(await store.dueUsers(Number.MAX_SAFE_INTEGER, 10)).to.deep.equal([])
      })

      for (const user of NAMES) {
        it(`gives back what was saved of ${user.slice(0, 20)}`, async () => {
          const state = stateOf(user)
          const revision = await save(user, { deadline: 5, dirty: true })
          const stored = await store.loadUser(user)
          expect(JSON.stringify(stored?.state)).to.equal(JSON.stringify(state))
          expect(stored?.revision).to.equal(revision)
          expect(await store.allUsers()).to.deep.equal([user])
          expect(await store.dirtyUsers()).to.deep.equal([user])
          expect(await store.dueUsers(5, 10)).to.deep.equal([user])
          expect(await store.removeUser(user, revision)).to.equal(true)
          expect(await store.loadUser(user)).to.equal(undefined)
        })
      }

      it('saves on top of the revision that was loaded, and of no other', async () => {
        const first = await save('ann')
        const next = { ...stateOf('ann'), order: 77 }
        expect(await store.saveUser(saveOf(next, { expected: first + 1 }))).to.equal(undefined)
        expect(await store.saveUser(saveOf(next))).to.equal(undefined)
        const second = await store.saveUser(saveOf(next, { expected: first }))
        expect(second).to.be.a('number').and.not.equal(first)
        expect(await store.saveUser(saveOf(next, { expected: first }))).to.equal(undefined)
        expect((await store.loadUser('ann'))?.state.order).to.equal(77)
      })

      it('does not save on top of a revision that was never there', async () => {
        expect(await store.saveUser(saveOf(stateOf('ann'), { expected: 3 }))).to.equal(undefined)
        expect(await store.allUsers()).to.deep.equal([])
      })

      it('changes nothing at all for who was overtaken', async () => {
        const leave = { user: 'ann', reason: 'left', since: '', lastSeen: '' } as const
        const revision = await save('ann', { deadline: 50 })
        const late = { deadline: 10, dirty: true, rooms: [{ room: 'r', member: null, leave }] }
        expect(await store.saveUser(saveOf(stateOf('ann'), late))).to.equal(undefined)
        expect(await store.nextDeadline()).to.equal(50)
        expect(await store.dirtyUsers()).to.deep.equal([])
        expect(await store.dirtyRooms()).to.deep.equal([])
        expect((await store.loadUser('ann'))?.revision).to.equal(revision)
      })

      it('lets one of many win who save at the same moment', async () => {
        const attempts = Array.from({ length: 20 }, (_, order) =>
          store.saveUser(saveOf({ ...stateOf('ann'), order })),
        )
        const won = (await Promise.all(attempts)).filter((revision) => revision !== undefined)
        expect(won).to.have.length(1)
        expect((await store.loadUser('ann'))?.revision).to.equal(won[0])
      })

      it('forgets a user at the revision that was loaded, and everything about it', async () => {
        const first = await save('ann', { deadline: 5, dirty: true })
        const second = await save('ann', { expected: first, deadline: 6, dirty: true })
        expect(await store.removeUser('ann', first)).to.equal(false)
        expect((await store.loadUser('ann'))?.revision).to.equal(second)
        expect(await store.removeUser('ann', second)).to.equal(true)
        expect(await store.removeUser('ann', second)).to.equal(false)
        expect(await store.allUsers()).to.deep.equal([])
        expect(await store.dirtyUsers()).to.deep.equal([])
        expect(await store.nextDeadline()).to.equal(null)
        expect(await store.usersOfBroker(null)).to.deep.equal([])
        await save('ann')
      })
    })

    describe('dirty marks', () => {
      it('are set with a save, and stay through saves that set none', async () => {
        const first = await save('ann', { dirty: true })
        await save('ann', { expected: first })
        await save('bob')
        expect(await store.dirtyUsers()).to.deep.equal(['ann'])
      })

      it('are cleared at the revision that was published', async () => {
        const revision = await save('ann', { dirty: true })
        await store.clearUser('ann', revision)
        expect(await store.dirtyUsers()).to.deep.equal([])
      })

      it('are not cleared when the user has changed since', async () => {
        const first = await save('ann', { dirty: true })
        const second = await save('ann', { expected: first, dirty: true })
        await store.clearUser('ann', first)
        expect(await store.dirtyUsers()).to.deep.equal(['ann'])
        await store.clearUser('ann', second)
        expect(await store.dirtyUsers()).to.deep.equal([])
      })

      it('are cleared though the user has changed since in what nobody sees', async () => {
        const first = await save('ann', { dirty: true })
        const second = await save('ann', { expected: first })
        await store.clearUser('ann', first)
        expect(await store.dirtyUsers()).to.deep.equal([])
        await save('ann', { expected: second, dirty: true })
        expect(await store.dirtyUsers()).to.deep.equal(['ann'])
      })

      it('may be cleared of a user that is forgotten', async () => {
        await store.clearUser('ann', 1)
        expect(await store.dirtyUsers()).to.deep.equal([])
      })
    })

    describe('deadlines', () => {
      it('are due in their order, at their time, up to a limit', async () => {
        for (const [user, deadline] of Object.entries({ cat: 30, ann: 10, dan: 40, bob: 20 })) {
          await save(user, { deadline })
        }
        expect(await store.nextDeadline()).to.equal(10)
        expect(await store.dueUsers(9, 10)).to.deep.equal([])
        expect(await store.dueUsers(30, 10)).to.deep.equal(['ann', 'bob', 'cat'])
        expect(await store.dueUsers(30, 2)).to.deep.equal(['ann', 'bob'])
      })

      it('stay due until the user is saved with another one', async () => {
        const first = await save('ann', { deadline: 10 })
        expect(await store.dueUsers(10, 10)).to.deep.equal(['ann'])
        expect(await store.dueUsers(10, 10)).to.deep.equal(['ann'])
        const second = await save('ann', { expected: first, deadline: 90 })
        expect(await store.dueUsers(10, 10)).to.deep.equal([])
        expect(await store.nextDeadline()).to.equal(90)
        await save('ann', { expected: second, deadline: null })
        expect(await store.nextDeadline()).to.equal(null)
      })

      it('are found by how near they are', async () => {
        await save('ann', { deadline: 10 })
        await save('bob', { deadline: 20 })
        await save('cat')
        expect(await store.usersWithDeadline(20)).to.deep.equal(['ann'])
        expect(new Set(await store.usersWithDeadline(21))).to.deep.equal(new Set(['ann', 'bob']))
      })
    })

    describe('brokers', () => {
      it('are known by the connections that they announced', async () => {
        const other = await store.saveUser(saveOf(stateOf('ann', 'b1')))
        await store.saveUser(saveOf(stateOf('bob', 'b2')))
        await store.saveUser(saveOf(stateOf('cat')))
        expect(await store.usersOfBroker('b1')).to.deep.equal(['ann'])
        expect(await store.usersOfBroker(null)).to.deep.equal(['cat'])
        expect(await store.usersOfBroker('b3')).to.deep.equal([])
        const moved = saveOf(stateOf('ann', 'b2'), { expected: other ?? 0 })
        await store.saveUser(moved)
        expect(await store.usersOfBroker('b1')).to.deep.equal([])
        expect(new Set(await store.usersOfBroker('b2'))).to.deep.equal(new Set(['ann', 'bob']))
      })

      it('are forgotten with the last connection', async () => {
        const revision = await store.saveUser(saveOf(stateOf('ann', 'b1')))
        const gone = { ...stateOf('ann', 'b1'), connections: [] }
        await store.saveUser(saveOf(gone, { expected: revision ?? 0 }))
        expect(await store.usersOfBroker('b1')).to.deep.equal([])
      })
    })

    describe('what is remembered', () => {
      it('is complete since the store was created, and not before', async () => {
        const begin = now
        now += 5000
        const kinds = [await store.userActivity('ann', 0), await store.roomActivity('lobby', 0)]
        for (const { entries, completeFrom } of kinds) {
          expect(entries).to.deep.equal([])
          expect(completeFrom).to.equal(begin)
        }
      })

      it('stays complete since then, whoever comes and goes', async () => {
        const begin = now
        now += 5000
        const entry = { user: 'ann', from: 'offline', to: 'online', cause: null, at: now } as const
        await save('ann', { activity: [{ ...entry, room: null, durationMs: null }] })
        now += 5000
        const { entries, completeFrom } = await store.userActivity('ann', 0)
        expect(entries.map(({ at }) => at)).to.deep.equal([begin + 5000])
        expect(completeFrom).to.equal(begin)
      })
    })

    describeStoreRooms({
      store: () => store,
      now: () => now,
      wait: (ms) => {
        now += ms
      },
    })
  })
}
