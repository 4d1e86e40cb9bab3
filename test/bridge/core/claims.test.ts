import { expect } from 'chai'
import { ended, itPlays, online, play } from './script.ts'

const AT_B1 = (claim: number, rooms?: readonly string[]) =>
  online('tab', `c${claim}`, { claim, ...of(rooms) })
const AT_B2 = (claim: number, rooms?: readonly string[]) =>
  online('tab', `c${claim}`, { broker: 'b2', claim, ...of(rooms) })

function of(rooms: readonly string[] | undefined) {
  return rooms ? { rooms } : {}
}

describe('a client id that is claimed at several brokers', () => {
  itPlays([
    {
      fact: 'is the later one’s, announced in whatever order',
      rows: [
        [0, AT_B2(2, ['lobby'])],
        [1, AT_B1(1, ['attic'])],
        [2, ended('tab', 'c1', 'closed', { claim: 1 })],
      ],
      lines: ['0 user online ×1', '0 lobby: joined', '1 stale older', '2 stale unknown'],
    },
    {
      fact: 'stays the later one’s, whatever the older one says',
      rows: [
        [0, AT_B1(1)],
        [1, AT_B2(2, ['lobby'])],
        [2, AT_B1(1, ['attic'])],
      ],
      lines: ['0 user online ×1', '1 lobby: joined', '2 stale ended'],
    },
    {
      fact: 'is nobody’s when the later one is over, though the older one is announced then',
      rows: [
        [0, AT_B2(2)],
        [1, ended('tab', 'c2', 'left', { broker: 'b2', claim: 2 })],
        [2, AT_B1(1)],
        [3, ended('tab', 'c1', 'closed', { claim: 1 })],
      ],
      lines: ['0 user online ×1', '1 user offline left', '2 stale older', '3 stale unknown'],
    },
    {
      fact: 'nor when its end comes before its announcement',
      rows: [
        [1, ended('tab', 'c2', 'left', { broker: 'b2', claim: 2 })],
        [2, AT_B1(1)],
      ],
      lines: ['1 stale unknown', '2 stale older', '61 forgotten'],
    },
    {
      fact: 'and when a roll call repeats both, whatever was heard when',
      rows: [
        [0, online('tab', 'c2', { broker: 'b2', claim: 2, lastSeen: 1 })],
        [1, online('tab', 'c1', { claim: 1, lastSeen: 2 })],
      ],
      lines: ['0 user online ×1', '1 stale older'],
    },
    {
      fact: 'is the last announced one’s while nobody could be asked',
      rows: [
        [0, AT_B2(2, ['lobby'])],
        [1, online('tab', 'c3', { rooms: ['attic'] })],
      ],
      lines: ['0 user online ×1', '0 lobby: joined', '1 attic: joined', '1 lobby: left left'],
    },
    {
      fact: 'and stays that one’s when a roll call repeats the older one, which has a claim',
      rows: [
        [10, online('tab', 'c9', { broker: 'b2', rooms: ['attic'] })],
        [11, online('tab', 'c1', { claim: 1, lastSeen: 1, rooms: ['lobby'] })],
        [12, online('tab', 'c9', { broker: 'b2', rooms: ['cellar'] })],
      ],
      lines: [
        '10 user online ×1',
        '10 attic: joined',
        '11 stale older',
        '12 cellar: joined',
        '12 attic: left left',
      ],
    },
    {
      fact: 'concerns no other client',
      rows: [
        [0, AT_B2(2)],
        [1, online('phone', 'c9', { claim: 1 })],
      ],
      lines: ['0 user online ×1', '1 user online ×2'],
    },
  ])

  it('is believed of brokers alone', () => {
    const forged = { broker: undefined, claim: 9 } as unknown as { claim: number }
    const { lines } = play([
      [0, online('tab', 'c1', forged)],
      [1, AT_B2(2, ['lobby'])],
    ])
    expect(lines).to.deep.equal(['0 user online ×1', '1 lobby: joined'])
  })
})
