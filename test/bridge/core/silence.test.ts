import { expect } from 'chai'
import { resolvePolicy } from '../../../bridge/core/index.ts'
import { document, ended, itPlays, online, play, unload } from './script.ts'

const NO_GRACE = resolvePolicy({ grace: { closed: 0 } })

describe('silence', () => {
  describe('of a client that comes back', () =>
    itPlays([
      {
        fact: 'a refresh is silent: unload, close, and the same client again with its rooms',
        rows: [
          [0, online('tab', 'c1', { rooms: { lobby: { x: 1 } }, data: 'hi' })],
          [10, unload('tab', 'c1')],
          [10.1, ended('tab', 'c1', 'closed')],
          [10.2, online('tab', 'c2')],
          [10.3, online('tab', 'c2', { rooms: { lobby: { x: 1 } }, data: 'hi' })],
        ],
        lines: ['0 user online ×1 "hi"', '0 lobby: joined {"x":1}'],
      },
      {
        fact: 'a refresh under a new client id is silent, and stays so when the old one’s grace is over',
        rows: [
          [0, online('tab-1', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab-1', 'c1', 'closed')],
          [10.2, online('tab-2', 'c2')],
          [10.3, online('tab-2', 'c2', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'a reconnect on another broker within the grace is silent',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab', 'c1', 'broker')],
          [20, online('tab', 'c2', { broker: 'b2', rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'a reconnect after the grace is a leave and a join',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab', 'c1', 'closed')],
          [15.1, online('tab', 'c2', { rooms: ['lobby'] })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '15 user offline closed',
          '15 lobby: left closed',
          '15.1 user online ×1',
          '15.1 lobby: joined',
        ],
      },
      {
        fact: 'a reconnect after the grace whose timer is late is silent too',
        lateTimers: true,
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab', 'c1', 'closed')],
          [15.1, online('tab', 'c2', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
    ]))

  describe('of a takeover', () =>
    itPlays([
      {
        fact: 'a takeover with the same rooms is silent',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, online('tab', 'c2', { rooms: ['lobby'] })],
          [10.1, ended('tab', 'c1', 'closed')],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '10.1 stale ended'],
      },
      {
        fact: 'a takeover with no grace at all is silent once the rooms are named',
        policy: NO_GRACE,
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, online('tab', 'c2', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'with no rooms named yet, the old connection’s rooms stay until the client names some',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby', 'attic'] })],
          [10, online('tab', 'c2')],
          [10.1, ended('tab', 'c1', 'kicked')],
          [13, online('tab', 'c2', { rooms: ['lobby', 'cellar'] })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '0 attic: joined',
          '10.1 stale ended',
          '13 cellar: joined',
          '13 attic: left left',
        ],
      },
      {
        fact: 'with no rooms named at all, the old connection’s rooms end with its grace',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, online('tab', 'c2')],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '15 lobby: left closed'],
      },
      {
        fact: 'a chain of takeovers with no rooms named keeps the rooms of the first',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, online('tab', 'c2')],
          [11, online('tab', 'c3')],
          [12, online('tab', 'c4', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'of a named connection by plain documents of the same client is silent',
        rows: [
          [0, document('lamp', { status: 'online' })],
          [10, document('lamp', { connection: 'c1' })],
          [20, document('lamp', { status: 'online' })],
        ],
        lines: ['0 user online ×1'],
      },
    ]))

  describe('of a second connection', () =>
    itPlays([
      {
        fact: 'two tabs of one user: a second one adds to the count, and changes nothing in the room',
        rows: [
          [0, online('tab-1', 'c1', { rooms: ['lobby'] })],
          [10, online('tab-2', 'c2', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '10 user online ×2'],
      },
      {
        fact: 'two tabs of one user: closing one changes the count after its grace, never the room',
        rows: [
          [0, online('tab-1', 'c1', { rooms: ['lobby'] })],
          [0, online('tab-2', 'c2', { rooms: ['lobby'] })],
          [10, ended('tab-1', 'c1', 'closed')],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '0 user online ×2', '15 user online ×1'],
      },
    ]))

  describe('of what is stale', () =>
    itPlays([
      {
        fact: 'a late will of a connection that is over changes nothing',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab', 'c1', 'left')],
          [11, online('tab', 'c2', { rooms: ['lobby'] })],
          [60, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '10 user offline left',
          '10 lobby: left left',
          '11 user online ×1',
          '11 lobby: joined',
          '60 stale ended',
        ],
      },
      {
        fact: 'a late leave of the replaced connection does not end the one that replaced it',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, online('tab', 'c2')],
          [10.1, ended('tab', 'c1', 'left')],
          [10.2, online('tab', 'c2', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '10.1 stale ended'],
      },
      {
        fact: 'an id that has ended never comes back',
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'left')],
          [11, online('tab', 'c1')],
        ],
        lines: ['0 user online ×1', '10 user offline left', '11 stale ended'],
      },
      {
        fact: 'an id that has ended does not come back within its grace either',
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'closed')],
          [11, online('tab', 'c1')],
        ],
        lines: ['0 user online ×1', '11 stale ended', '15 user offline closed'],
      },
      {
        fact: 'the same id of another client is another connection',
        rows: [
          [0, online('tab-1', 'c1')],
          [10, ended('tab-1', 'c1', 'left')],
          [11, online('tab-2', 'c1')],
        ],
        lines: ['0 user online ×1', '10 user offline left', '11 user online ×1'],
      },
      {
        fact: 'an end that comes before its connection is announced keeps it from ever being present',
        rows: [
          [0, ended('tab', 'c1', 'closed')],
          [1, online('tab', 'c1')],
        ],
        until: 50,
        lines: ['0 stale unknown', '1 stale ended'],
      },
      {
        fact: 'on a foreign broker the will of a named connection ends it for good',
        rows: [
          [0, document('tab', { connection: 'c1' })],
          [10, document('tab', { connection: 'c1', status: 'offline' })],
          [11, document('tab', { connection: 'c1' })],
        ],
        lines: ['0 user online ×1', '11 stale ended', '15 user offline closed'],
      },
      {
        fact: 'a plain document after a named connection has ended is a new connection',
        rows: [
          [0, document('tab', { connection: 'c1' })],
          [10, document('tab', { connection: 'c1', status: 'offline' })],
          [11, document('tab', { status: 'online' })],
        ],
        lines: ['0 user online ×1'],
      },
      {
        fact: 'on our broker a client’s own goodbye does not end its connection for good',
        rows: [
          [0, online('tab', 'c1')],
          [10, online('tab', 'c1', { status: 'offline', reason: 'left' })],
          [11, online('tab', 'c1')],
        ],
        lines: ['0 user online ×1', '10 user offline left', '11 user online ×1'],
      },
      {
        fact: 'a lower seq is stale, the same and a higher one are not, and none is always news',
        rows: [
          [0, online('tab', 'c1', { seq: 5, rooms: ['lobby'] })],
          [1, online('tab', 'c1', { seq: 4, rooms: [] })],
          [2, online('tab', 'c1', { seq: 5, rooms: ['lobby'] })],
          [3, online('tab', 'c1', { seq: 6, rooms: ['attic'] })],
          [4, online('tab', 'c1', { rooms: ['cellar'] })],
          [5, online('tab', 'c1', { seq: 5, rooms: ['lobby'] })],
          [6, online('tab', 'c1', { seq: 5, status: 'offline', reason: 'left' })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '1 stale sequence',
          '3 attic: joined',
          '3 lobby: left left',
          '4 cellar: joined',
          '4 attic: left left',
          '5 stale sequence',
          '6 stale sequence',
        ],
      },
      {
        fact: 'seq begins anew with each connection',
        rows: [
          [0, online('tab', 'c1', { seq: 9, rooms: ['lobby'] })],
          [1, online('tab', 'c2', { seq: 0, rooms: ['attic'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '1 attic: joined', '1 lobby: left left'],
      },
      {
        fact: 'of two live connections of a client the last announced counts, whatever their ids say',
        rows: [
          [0, online('tab', 'c9', { broker: 'b1', rooms: ['lobby'] })],
          [1, online('tab', 'c1', { broker: 'b2', rooms: ['attic'] })],
          [2, online('tab', 'c9', { broker: 'b1', rooms: ['lobby'] })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '1 attic: joined',
          '1 lobby: left left',
          '2 stale ended',
        ],
      },
      {
        fact: 'a stale document that comes when a deadline is overdue does not swallow what the deadline says',
        lateTimers: true,
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab', 'c1', 'closed')],
          [15.1, ended('phone', 'c0', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '15.1 user offline closed',
          '15.1 lobby: left closed',
          '15.1 stale unknown',
        ],
      },
    ]))

  it('an explicit leave takes the client’s earlier connections with it, and nobody else’s', () => {
    const { lines } = play([
      [0, online('tab', 'c1', { rooms: ['lobby'] })],
      [1, online('phone', 'c2', { rooms: ['lobby'] })],
      [2, online('tab', 'c3')],
      [3, ended('tab', 'c3', 'left')],
      [4, ended('phone', 'c2', 'left')],
    ])
    expect(lines.slice(3)).to.deep.equal([
      '3 user online ×1',
      '4 user offline left',
      '4 lobby: left left',
    ])
  })

  it('a client that is kicked is out at once, though a connection it had before is in grace', () => {
    const { lines } = play([
      [0, online('tab', 'c1', { rooms: ['lobby'] })],
      [1, online('tab', 'c2')],
      [2, ended('tab', 'c2', 'kicked')],
    ])
    expect(lines.slice(2)).to.deep.equal(['2 user offline kicked', '2 lobby: left kicked'])
  })

  it('remembers a bounded number of ended ids', () => {
    const rows = Array.from(
      { length: 100 },
      (_, i) => [i, ended('tab', `c${i}`, 'closed')] as const,
    )
    expect(play(rows, { until: 100 }).state.ended).to.have.length(32)
  })
})
