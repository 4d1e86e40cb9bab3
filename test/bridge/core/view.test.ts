import { expect } from 'chai'
import type { Effect } from '../../../bridge/core/index.ts'
import { viewUser } from '../../../bridge/core/index.ts'
import { document, ended, itPlays, online, play, START, type Row } from './script.ts'

function iso(second: number): string {
  return new Date(START + second * 1000).toISOString()
}

function effectsOf<T extends Effect['type']>(
  rows: readonly Row[],
  type: T,
): Extract<Effect, { type: T }>[] {
  const isOf = (effect: Effect): effect is Extract<Effect, { type: T }> => effect.type === type
  return play(rows)
    .effects.map(({ effect }) => effect)
    .filter(isOf)
}

describe('what others see', () => {
  describe('of rooms', () =>
    itPlays([
      {
        fact: 'the rooms of a document are exactly these; none named means unchanged',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby', 'attic'] })],
          [1, online('tab', 'c1')],
          [2, online('tab', 'c1', { rooms: ['attic', 'cellar'] })],
          [3, online('tab', 'c1', { rooms: [] })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '0 attic: joined',
          '2 cellar: joined',
          '2 lobby: left left',
          '3 attic: left left',
          '3 cellar: left left',
        ],
      },
      {
        fact: 'a user’s rooms are the union of its connections’ rooms',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [1, online('phone', 'c2', { rooms: ['lobby', 'attic'] })],
          [2, ended('phone', 'c2', 'left')],
          [3, ended('tab', 'c1', 'left')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '1 user online ×2',
          '1 attic: joined',
          '2 user online ×1',
          '2 attic: left left',
          '3 user offline left',
          '3 lobby: left left',
        ],
      },
      {
        fact: 'an update is an update, never a leave and a join',
        rows: [
          [0, online('tab', 'c1', { rooms: { lobby: { x: 1 } } })],
          [1, online('tab', 'c1', { rooms: { lobby: { x: 2 } } })],
          [2, online('tab', 'c1', { rooms: { lobby: { x: 2 } } })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined {"x":1}', '1 lobby: updated {"x":2}'],
      },
      {
        fact: 'with several connections the newest document’s member data counts, then the next one’s',
        rows: [
          [0, online('tab', 'c1', { rooms: { lobby: 'tab' } })],
          [1, online('phone', 'c2', { rooms: { lobby: 'phone' } })],
          [2, online('tab', 'c1', { rooms: { lobby: 'tab again' } })],
          [3, ended('tab', 'c1', 'left')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined "tab"',
          '1 user online ×2',
          '1 lobby: updated "phone"',
          '2 lobby: updated "tab again"',
          '3 user online ×1',
          '3 lobby: updated "phone"',
        ],
      },
      {
        fact: 'member data that is merely said again, by a roll call, is not the newest',
        rows: [
          [0, online('tab', 'c1', { rooms: { lobby: 'tab' } })],
          [1, online('phone', 'c2', { rooms: { lobby: 'phone' } })],
          [2, online('tab', 'c1', { rooms: { lobby: 'tab' } })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined "tab"',
          '1 user online ×2',
          '1 lobby: updated "phone"',
        ],
      },
      {
        fact: 'several connections that held a room end together: the one that held it longest says why',
        lateTimers: true,
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'], grace: { timeout: 20_000 } })],
          [0, online('phone', 'c2', { rooms: ['lobby'] })],
          [1, ended('tab', 'c1', 'timeout')],
          [2, ended('phone', 'c2', 'closed')],
          [60, { type: 'timer' }],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '0 user online ×2',
          '60 user offline timeout',
          '60 lobby: left timeout',
        ],
      },
    ]))

  describe('of the user’s data', () =>
    itPlays([
      {
        fact: 'the newest counts, then the next one’s; none named means unchanged',
        rows: [
          [0, online('tab', 'c1', { data: { mood: 'fine' } })],
          [1, online('tab', 'c1')],
          [2, online('phone', 'c2', { data: 'phone' })],
          [3, ended('phone', 'c2', 'left')],
          [4, online('tab', 'c1', { data: null })],
        ],
        lines: [
          '0 user online ×1 {"mood":"fine"}',
          '2 user online ×2 "phone"',
          '3 user online ×1 {"mood":"fine"}',
          '4 user online ×1',
        ],
      },
      {
        fact: 'the same data in another order of keys is the same data',
        rows: [
          [0, online('tab', 'c1', { data: { a: 1, b: [2, { c: 3, d: 4 }] } })],
          [1, online('tab', 'c1', { data: { b: [2, { d: 4, c: 3 }], a: 1 } })],
        ],
        lines: ['0 user online ×1 {"a":1,"b":[2,{"c":3,"d":4}]}'],
      },
    ]))

  describe('of away', () =>
    itPlays([
      {
        fact: 'a user is away only when every connection is',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [0, online('phone', 'c2', { rooms: ['lobby'] })],
          [1, online('tab', 'c1', { status: 'away' })],
          [2, online('phone', 'c2', { status: 'away' })],
          [3, online('tab', 'c1')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '0 user online ×2',
          '2 user away ×2',
          '2 lobby: updated away',
          '3 user online ×2',
          '3 lobby: updated',
        ],
      },
      {
        fact: 'a connection in grace counts with its last status, so that a refresh is silent',
        rows: [
          [0, online('tab', 'c1')],
          [0, online('phone', 'c2', { status: 'away' })],
          [10, ended('tab', 'c1', 'closed')],
          [11, online('tab', 'c3')],
          [30, ended('tab', 'c3', 'closed')],
        ],
        lines: ['0 user online ×1', '0 user online ×2', '35 user away ×1'],
      },
      {
        fact: 'a device may be away in a plain word',
        rows: [
          [0, document('lamp', { status: 'online' })],
          [1, document('lamp', { status: 'away' })],
          [2, document('lamp', { status: 'online' })],
        ],
        lines: ['0 user online ×1', '1 user away ×1', '2 user online ×1'],
      },
    ]))

  describe('of the number of connections', () =>
    itPlays([
      {
        fact: 'it is not published anew while any connection is in grace',
        rows: [
          [0, online('tab-1', 'c1')],
          [0, online('tab-2', 'c2')],
          [10, ended('tab-1', 'c1', 'closed')],
          [11, online('tab-3', 'c3')],
          [12, online('tab-4', 'c4')],
        ],
        lines: ['0 user online ×1', '0 user online ×2', '15 user online ×3'],
      },
    ]))

  describe('of times', () => {
    it('the user’s document says since when, and when it was last heard', () => {
      const at = (until: number) =>
        viewUser(
          play(
            [
              [0, online('tab', 'c1', { rooms: ['lobby'] })],
              [5, online('tab', 'c1', { data: 1 })],
              [9, ended('tab', 'c1', 'closed')],
            ],
            { until },
          ).state,
        )
      const { version: v1, ...whileOnline } = at(6)
      const { version: v2, ...whenOffline } = at(100)
      expect(whileOnline).to.deep.equal({
        user: 'ann',
        status: 'online',
        since: iso(0),
        lastSeen: iso(9),
        reason: null,
        connections: 1,
        data: 1,
      })
      expect(whenOffline).to.deep.equal({
        user: 'ann',
        status: 'offline',
        since: iso(14),
        lastSeen: iso(9),
        reason: 'closed',
        connections: 0,
        data: null,
      })
      expect([v1, v2]).to.deep.equal([START + 5000, START + 14_000])
    })

    it('a leave says why, since when, and when the user was last heard', () => {
      const rows: Row[] = [
        [0, online('tab', 'c1', { rooms: ['lobby'] })],
        [7, online('tab', 'c1', { rooms: ['lobby', 'attic'] })],
        [60, ended('tab', 'c1', 'timeout', { lastSeen: START + 30_000 })],
      ]
      expect(effectsOf(rows, 'leave')).to.deep.equal([
        {
          type: 'leave',
          room: 'lobby',
          leave: { user: 'ann', reason: 'timeout', since: iso(0), lastSeen: iso(30) },
        },
        {
          type: 'leave',
          room: 'attic',
          leave: { user: 'ann', reason: 'timeout', since: iso(7), lastSeen: iso(30) },
        },
      ])
    })

    it('a member is in its room since it joined, whatever becomes of its connections', () => {
      const { effects } = play([
        [0, online('tab', 'c1', { rooms: ['lobby'] })],
        [5, online('phone', 'c2', { rooms: { lobby: 1 } })],
        [6, ended('tab', 'c1', 'left')],
        [9, ended('phone', 'c2', 'left')],
      ])
      const since = effects.flatMap(({ effect }) => {
        if (effect.type === 'member') return effect.member.since
        return effect.type === 'leave' ? effect.leave.since : []
      })
      expect(since).to.deep.equal([iso(0), iso(0), iso(0)])
    })

    it('a transition says how long the other state lasted', () => {
      const rows: Row[] = [
        [0, online('tab', 'c1')],
        [10, ended('tab', 'c1', 'left')],
        [30, online('tab', 'c2')],
      ]
      expect(effectsOf(rows, 'transition')).to.deep.equal([
        { type: 'transition', to: 'online', cause: null, at: START, since: 0 },
        { type: 'transition', to: 'offline', cause: 'left', at: START + 10_000, since: START },
        {
          type: 'transition',
          to: 'online',
          cause: null,
          at: START + 30_000,
          since: START + 10_000,
        },
      ])
    })

    it('lastSeen is the broker’s word, but never the client’s, and never in the future', () => {
      const lastSeen = (input: Row[1]) =>
        play(
          [
            [0, online('tab', 'c1')],
            [60, input],
          ],
          { until: 60 },
        ).state.lastSeen
      const said = { lastSeen: START + 20_000 }
      expect(lastSeen(online('tab', 'c1', said))).to.equal(START + 20_000)
      expect(lastSeen(ended('tab', 'c1', 'timeout', said))).to.equal(START + 20_000)
      expect(lastSeen(document('tab', { connection: 'c1', ...said }))).to.equal(START + 60_000)
      const future = { lastSeen: START + 90_000 }
      expect(lastSeen(online('tab', 'c1', future))).to.equal(START + 60_000)
    })

    it('lastSeen of a user is the latest of all its connections, those that left before included', () => {
      const { state } = play([
        [0, online('tab', 'c1', { grace: { closed: 60_000 } })],
        [0, online('phone', 'c2')],
        [10, ended('tab', 'c1', 'closed')],
        [30, ended('phone', 'c2', 'left')],
      ])
      expect(viewUser(state)).to.include({ lastSeen: iso(30), since: iso(70), reason: 'closed' })
    })

    it('the version grows even when the clock stands still or goes back', () => {
      const { effects, state } = play([
        [9, online('tab', 'c1', { data: 1 })],
        [9, online('tab', 'c1', { data: 2 })],
        [3, online('tab', 'c1', { data: 3 })],
      ])
      expect(effects.filter(({ effect }) => effect.type === 'user')).to.have.length(3)
      expect(state.version).to.equal(START + 9002)
    })
  })
})
