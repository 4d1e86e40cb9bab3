import { expect } from 'chai'
import {
  createMemoryStore,
  readOnlineTime,
  readRoomAt,
  type Activity,
  type Store,
} from '../../../bridge/index.ts'
import { member, saveOf, stateOf } from '../store/samples.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const TODAY = 1_700_006_400_000
/** When the store was created. */
const BEGIN = TODAY + 10 * HOUR
const NOW = TODAY + 20 * HOUR
const BLANK = { user: 'ann', cause: 'closed', from: 'online', to: 'offline' } as const

describe('questions about what was', () => {
  let store: Store

  async function save(activity: readonly Activity[]): Promise<void> {
    const expected = (await store.loadUser('ann'))?.revision ?? 0
    const state = { ...stateOf('ann'), since: TODAY + 8 * HOUR }
    await store.saveUser(saveOf(state, { expected, activity }))
  }

  beforeEach(async () => {
    store = createMemoryStore({ now: () => BEGIN, maxActivity: 2 })
    await save([{ ...BLANK, room: null, at: BEGIN + HOUR, durationMs: 30 * HOUR }])
    const left = { ...BLANK, room: 'lobby', from: 'joined', to: 'left' } as const
    await save([{ ...left, at: BEGIN + HOUR, durationMs: 30 * HOUR }])
  })

  for (const { what, user = 'ann', from, to, onlineMs, complete } of [
    { what: 'the day before', from: TODAY - DAY, to: TODAY, onlineMs: 19 * HOUR, complete: false },
    {
      what: 'the day of its start',
      from: TODAY,
      to: TODAY + DAY,
      onlineMs: 23 * HOUR,
      complete: false,
    },
    { what: 'just before its start', from: BEGIN - 1, to: BEGIN, onlineMs: 2, complete: false },
    { what: 'from its start on', from: BEGIN, to: NOW, onlineMs: 11 * HOUR, complete: true },
    { what: 'tomorrow', from: TODAY + DAY, to: TODAY + 2 * DAY, onlineMs: 0, complete: true },
    {
      what: 'a stranger before',
      user: 'bob',
      from: TODAY,
      to: BEGIN,
      onlineMs: 0,
      complete: false,
    },
    { what: 'a stranger since', user: 'bob', from: BEGIN, to: NOW, onlineMs: 0, complete: true },
  ]) {
    it(`asked of a user, ${what}: ${complete ? 'everything' : 'not everything'} is known`, async () => {
      const answer = await readOnlineTime(store, user, from, to, NOW)
      expect(answer).to.include({ onlineMs, complete })
    })
  }

  for (const { what, room = 'lobby', at, members, complete } of [
    { what: 'years before', at: 0, members: [], complete: false },
    { what: 'just before its start', at: BEGIN - 1, members: ['ann'], complete: false },
    { what: 'at its start', at: BEGIN, members: ['ann'], complete: true },
    { what: 'later', at: NOW, members: [], complete: true },
    {
      what: 'of a room that never was, before',
      room: 'attic',
      at: BEGIN - 1,
      members: [],
      complete: false,
    },
    {
      what: 'of a room that never was, since',
      room: 'attic',
      at: BEGIN,
      members: [],
      complete: true,
    },
  ]) {
    it(`asked of a room, ${what}: ${complete ? 'everything' : 'not everything'} is known`, async () => {
      const answer = await readRoomAt(store, room, at)
      expect(answer.members.map(({ user }) => user)).to.deep.equal(members)
      expect(answer.complete).to.equal(complete)
    })
  }

  it('are answered in part once something was forgotten', async () => {
    await save([{ ...BLANK, room: null, at: BEGIN + 2 * HOUR, durationMs: HOUR }])
    const at = async (time: number): Promise<boolean> =>
      (await readOnlineTime(store, 'ann', time, NOW, NOW)).complete
    expect(await at(BEGIN + HOUR)).to.equal(false)
    expect(await at(BEGIN + HOUR + 1)).to.equal(true)
  })

  it('count who was there before the start and is there still', async () => {
    const since = new Date(TODAY).toISOString()
    const room = { room: 'hall', member: { ...member('bob'), since }, leave: null }
    await store.saveUser(saveOf(stateOf('bob'), { rooms: [room] }))
    const answer = await readRoomAt(store, 'hall', TODAY + HOUR)
    expect(answer.members).to.deep.equal([{ user: 'bob', since }])
    expect(answer.complete).to.equal(false)
  })
})
