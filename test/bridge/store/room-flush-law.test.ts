import { expect } from 'chai'
import fc from 'fast-check'
import { createMemoryStore, type Link, type Store } from '../../../bridge/index.ts'
import { createPublisher, type Publisher } from '../../../bridge/publisher.ts'
import {
  applyDiff,
  applySnapshot,
  createTopics,
  parseMember,
  parseRoomDiff,
  parseRoomSnapshot,
  type Member,
  type RoomDiff,
  type RoomReplica,
} from '../../../protocol/index.ts'
import { silentLogger } from '../../../runtime/logger.ts'
import { leave, member, saveOf, stateOf } from './samples.ts'

const topics = createTopics()
const LIMIT = 3

type Action =
  | { readonly kind: 'change'; readonly user: string; readonly data: number | null }
  | { readonly kind: 'flush' }
  /** The link goes down after so many publications of a flush. */
  | { readonly kind: 'cut'; readonly after: number }
  | { readonly kind: 'reader' }

const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('change' as const),
        user: fc.constantFrom('ann', 'bob', 'cat', 'dan', 'eve'),
        data: fc.option(fc.nat(2), { freq: 3 }),
      }),
    },
    { weight: 3, arbitrary: fc.constant({ kind: 'flush' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), after: fc.nat(5) }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'reader' as const }) },
  ),
  { minLength: 1, maxLength: 40 },
)

/** One room, what is published of it, and those who read that. */
class Stage {
  readonly truth = new Map<string, Member>()
  readonly retained = new Map<string, string>()
  readonly readers: { replica: RoomReplica | undefined }[] = []
  readonly diffs: RoomDiff[] = []
  #left = Infinity
  #now = 1_700_000_000_000
  readonly #limit: number
  readonly #store: Store
  readonly #publisher: Publisher

  constructor(limit = LIMIT) {
    this.#limit = limit
    this.#store = createMemoryStore({ now: () => this.#now })
    const link = { publish: async (...args: Publish) => this.#publish(...args) } as Partial<Link>
    const parts = { topics, logger: silentLogger, journal: false }
    this.#publisher = createPublisher({ ...parts, link: link as Link })
  }

  async change(user: string, data: number | null): Promise<void> {
    if (data === null && !this.truth.has(user)) return
    const expected = (await this.#store.loadUser(user))?.revision ?? 0
    const isMember = data === null ? null : member(user, data)
    const save = isMember
      ? { room: 'lobby', member: isMember, leave: null }
      : { room: 'lobby', member: null, leave: leave(user) }
    await this.#store.saveUser(saveOf(stateOf(user), { expected, rooms: [save] }))
    if (isMember) this.truth.set(user, isMember)
    else this.truth.delete(user)
  }

  /** Flushes as the bridge does; true when readers know everything now. */
  async flush(publications: number): Promise<boolean> {
    this.#left = publications
    this.#now += 7
    const flush = await this.#store.flushRoom('lobby', this.#now, this.#limit)
    if (!flush) return true
    if (await this.#publisher.publishRoom(flush)) {
      await this.#store.clearRoom('lobby', flush.version)
      return true
    }
    await this.#store.doubtRoom('lobby')
    return false
  }

  /** A reader who starts now. */
  addReader(): void {
    const reader = { replica: undefined }
    this.readers.push(reader)
    this.#readSnapshot(reader)
  }

  #publish(topic: string, payload: string, { retain }: { readonly retain: boolean }): void {
    if (this.#left-- <= 0) throw new Error('the link is down')
    if (!retain) {
      this.#readDiff(payload)
    } else if (payload === '') {
      this.retained.delete(topic)
    } else {
      this.retained.set(topic, payload)
    }
  }

  #readSnapshot(reader: { replica: RoomReplica | undefined }): void {
    const snapshot = parseRoomSnapshot(this.retained.get(topics.room('lobby')) ?? '')
    if (snapshot) reader.replica = applySnapshot(reader.replica, snapshot)
  }

  #readDiff(payload: string): void {
    const diff = parseRoomDiff(payload)
    if (!diff) throw new Error(`expected a diff, got ${payload}`)
    this.diffs.push(diff)
    for (const reader of this.readers) {
      const outcome = reader.replica ? applyDiff(reader.replica, diff) : { kind: 'gap' as const }
      if (outcome.kind === 'applied') reader.replica = outcome.replica
      else if (outcome.kind === 'gap') this.#readSnapshot(reader)
    }
  }
}

type Publish = Parameters<Link['publish']>

async function perform(stage: Stage, action: Action): Promise<boolean> {
  if (action.kind === 'change') await stage.change(action.user, action.data)
  else if (action.kind === 'reader') stage.addReader()
  else return stage.flush(action.kind === 'flush' ? Infinity : action.after)
  return false
}

describe('what is published of a room', () => {
  it('is, after each flush, the room: for any reader who began at any time', async () => {
    await fc.assert(
      fc.asyncProperty(actions, async (list) => {
        const stage = new Stage()
        for (const action of [...list, { kind: 'flush' } as const]) {
          if (!(await perform(stage, action))) continue
          const { truth, readers, retained } = stage
          for (const { replica } of readers) {
            if (!replica) continue
            expect(replica.size).to.equal(truth.size)
            expect(replica.complete).to.equal(truth.size <= LIMIT)
            if (replica.complete) expect(replica.members).to.deep.equal(truth)
          }
          for (const user of ['ann', 'bob', 'cat', 'dan', 'eve']) {
            const shown = retained.get(topics.member('lobby', user)) ?? ''
            expect(parseMember(shown)).to.deep.equal(truth.get(user))
          }
          const count = retained.get(topics.roomCount('lobby'))
          if (retained.has(topics.room('lobby'))) expect(count).to.equal(String(truth.size))
        }
      }),
      { numRuns: 400 },
    )
  })

  it('tells those who follow the events of a leave for each join, and no other', async () => {
    const untroubled = actions.map((list) => list.filter(({ kind }) => kind !== 'cut'))
    await fc.assert(
      fc.asyncProperty(untroubled, async (list) => {
        const stage = new Stage(Infinity)
        for (const action of [...list, { kind: 'flush' } as const]) await perform(stage, action)
        const members = new Set<string>()
        for (const { joined, updated, left } of stage.diffs) {
          for (const { user } of updated) expect(members.has(user)).to.equal(true)
          for (const { user } of left) expect(members.delete(user)).to.equal(true)
          for (const { user } of joined) expect(members.has(user)).to.equal(false)
          for (const { user } of joined) members.add(user)
        }
        expect(members).to.deep.equal(new Set(stage.truth.keys()))
      }),
    )
  })
})
