import { expect } from 'chai'
import type { Input } from '../../../bridge/core/index.ts'
import { ended, itPlays, online, play, START } from './script.ts'

/** A broker answers a roll call: this is what the connection comes to, and when it was last heard. */
function repeated(
  client: string,
  connection: string,
  broker: string,
  second: number,
  rooms: readonly string[] = [],
): Input {
  return online(client, connection, { broker, rooms, lastSeen: START + second * 1000 })
}

const LOST_B1: Input = { type: 'census', broker: 'b1', alive: new Set<string>() }

describe('what is said again', () => {
  describe('of two connections of one client', () =>
    itPlays([
      {
        fact: 'the one that was heard later counts, when the older one comes last',
        rows: [
          [20, repeated('tab', 'c2', 'b2', 18, ['lobby'])],
          [21, repeated('tab', 'c1', 'b1', 10, ['attic'])],
          [30, ended('tab', 'c1', 'timeout')],
        ],
        lines: ['20 user online ×1', '20 lobby: joined', '21 stale older', '30 stale unknown'],
      },
      {
        fact: 'and when it comes first',
        rows: [
          [20, repeated('tab', 'c1', 'b1', 10, ['attic'])],
          [21, repeated('tab', 'c2', 'b2', 18, ['lobby'])],
          [30, ended('tab', 'c1', 'timeout')],
        ],
        lines: [
          '20 user online ×1',
          '20 attic: joined',
          '21 lobby: joined',
          '21 attic: left left',
          '30 stale unknown',
        ],
      },
      {
        fact: 'of one broker the later id counts, whenever they were heard',
        rows: [
          [20, repeated('tab', 'c2', 'b1', 10)],
          [21, repeated('tab', 'c1', 'b1', 18)],
        ],
        lines: ['20 user online ×1', '21 stale older'],
      },
      {
        fact: 'one that its client has replaced stays replaced, whenever it was heard',
        rows: [
          [0, online('tab', 'c1')],
          [10, online('tab', 'c2', { broker: 'b2', rooms: ['lobby'] })],
          [20, repeated('tab', 'c1', 'b1', 19, ['attic'])],
        ],
        lines: ['0 user online ×1', '10 lobby: joined', '20 stale ended'],
      },
      {
        fact: 'one that was lost with its broker does not beat what replaced it',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, LOST_B1],
          [12, repeated('tab', 'c2', 'b2', 11)],
          [13, repeated('tab', 'c1', 'b1', 5, ['lobby'])],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '12 lobby: left left', '13 stale older'],
      },
      {
        fact: 'nor when that has named no rooms yet, and it is in grace still',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, LOST_B1],
          [12, online('tab', 'c2', { broker: 'b2', lastSeen: START + 11_000 })],
          [13, repeated('tab', 'c1', 'b1', 5, ['lobby'])],
        ],
        lines: ['0 user online ×1', '0 lobby: joined', '13 stale older', '25 lobby: left broker'],
      },
      {
        fact: 'what was taken for older counts as soon as its client says anything',
        rows: [
          [20, repeated('tab', 'c2', 'b2', 18)],
          [21, repeated('tab', 'c1', 'b1', 10)],
          [22, online('tab', 'c1', { rooms: ['attic'] })],
        ],
        lines: ['20 user online ×1', '21 stale older', '22 attic: joined'],
      },
      {
        fact: 'and so does what was replaced by a repetition',
        rows: [
          [20, repeated('tab', 'c1', 'b1', 10)],
          [21, repeated('tab', 'c2', 'b2', 18)],
          [22, online('tab', 'c1', { rooms: ['attic'] })],
        ],
        lines: ['20 user online ×1', '22 attic: joined'],
      },
      {
        fact: 'the one that is announced last counts, whatever was heard of the other',
        rows: [
          [20, online('tab', 'c2', { broker: 'b2', rooms: ['lobby'] })],
          [21, online('tab', 'c1', { rooms: ['attic'] })],
        ],
        lines: ['20 user online ×1', '20 lobby: joined', '21 attic: joined', '21 lobby: left left'],
      },
    ]))

  it('of an unknown connection is an announcement where its client has no other one up', () => {
    const { lines } = play([
      [0, online('tab', 'c1')],
      [10, LOST_B1],
      [11, repeated('tab', 'c1', 'b1', 9)],
      [12, repeated('phone', 'c3', 'b2', 1)],
    ])
    expect(lines).to.deep.equal(['0 user online ×1', '12 user online ×2'])
  })

  it('does not set back when its connection was last heard', () => {
    const { state } = play([
      [10, online('tab', 'c1')],
      [20, repeated('tab', 'c1', 'b1', 5)],
    ])
    expect(state.connections.map(({ lastSeen }) => lastSeen)).to.deep.equal([START + 10_000])
  })

  it('by a client is nothing but what it says: only a broker repeats', () => {
    const said = { broker: undefined, lastSeen: START } as const
    const { lines } = play([
      [20, online('tab', 'c2', { broker: 'b2' })],
      [21, online('tab', 'c1', said as unknown as { lastSeen: number })],
    ])
    expect(lines).to.deep.equal(['20 user online ×1'])
  })
})
