import { expect } from 'chai'
import fc from 'fast-check'
import {
  isCurrent,
  membersOf,
  stepRoom,
  UNKNOWN_ROOM,
  type RoomInput,
  type RoomView,
} from '../../../client/core/index.ts'
import type { Leave, Member, RoomDiff, RoomSnapshot } from '../../../protocol/index.ts'

const TIME = '2026-01-01T00:00:00.000Z'
/** Since when people are there for a server that has started anew. */
const LATER = '2026-01-01T01:00:00.000Z'
const SETTLE_MS = 5000
const READING: RoomInput = { type: 'reading', returning: null }

const member = (user: string, n = 0): Member => ({ user, status: 'online', since: TIME, data: n })
/** The snapshot of a server that has started anew. */
const anew = (version: number, ...users: string[]): RoomInput => {
  const members = users.map((user) => ({ ...member(user), since: LATER }))
  return { type: 'snapshot', snapshot: { room: 'r', version, size: users.length, members } }
}
const leave = (user: string): Leave => ({ user, reason: 'left', since: TIME, lastSeen: TIME })
const snapshot = (version: number, ...users: string[]): RoomInput => ({
  type: 'snapshot',
  snapshot: { room: 'r', version, size: users.length, members: users.map((user) => member(user)) },
})
function diff(
  version: number,
  joined: string[],
  left: string[] = [],
  previous = version - 1,
): RoomInput {
  const lists = { joined: joined.map((user) => member(user)), updated: [], left: left.map(leave) }
  return { type: 'diff', diff: { room: 'r', version, previous, size: 0, ...lists } }
}

/** What others are shown to do, as one line for each input. */
function run(inputs: readonly (readonly [number, RoomInput])[]): [RoomView, string[]] {
  let view = UNKNOWN_ROOM
  const told = inputs.map(([now, input]) => {
    const [next, { joined, updated, left, gap }] = stepRoom(view, input, now, SETTLE_MS)
    view = next
    const users = (list: readonly { user: string }[], sign: string): string[] =>
      list.map(({ user }) => sign + user)
    return [
      ...users(joined, '+'),
      ...users(updated, '~'),
      ...users(left, '-'),
      ...(gap ? ['gap'] : []),
    ].join(' ')
  })
  return [view, told]
}

describe('the view of a room', () => {
  it('holds diffs until the snapshot, and drops those that it has', () => {
    const [view, told] = run([
      [0, READING],
      [1, diff(4, ['c'])],
      [2, diff(5, ['d'], ['a'])],
      [3, snapshot(4, 'a', 'b', 'c')],
      [4, diff(6, ['e'])],
    ])
    expect(told).to.deep.equal(['', '', '', '+b +c +d', '+e'])
    expect([...membersOf(view).keys()]).to.deep.equal(['b', 'c', 'd', 'e'])
    expect(isCurrent(view)).to.equal(true)
  })

  it('reads again after a gap, and shows nothing twice', () => {
    const [view, told] = run([
      [0, snapshot(1, 'a')],
      [1, diff(3, ['c'])],
      [2, diff(4, ['d'])],
      [3, snapshot(3, 'a', 'b', 'c')],
    ])
    expect(told).to.deep.equal(['+a', 'gap', '', '+b +c +d'])
    expect(isCurrent(view)).to.equal(true)
  })

  it('keeps whom a server that has started anew does not know, and gives up who does not come back', () => {
    const lost: [number, RoomInput][] = [
      [0, snapshot(1, 'a', 'b', 'c')],
      [10, { type: 'lost' }],
      [20, READING],
    ]
    const [waiting, told] = run([...lost, [30, anew(9, 'a')], [40, diff(10, ['b'])]])
    expect(told.slice(3)).to.deep.equal(['', ''])
    expect([...membersOf(waiting).keys()].toSorted()).to.deep.equal(['a', 'b', 'c'])
    expect(isCurrent(waiting)).to.equal(false)
    const [settled, after] = run([
      ...lost,
      [30, anew(9, 'a')],
      [40, diff(10, ['b'])],
      [5029, { type: 'timer' }],
      [5030, { type: 'timer' }],
    ])
    expect(after.slice(5)).to.deep.equal(['', '-c'])
    expect(isCurrent(settled)).to.equal(true)
    const [empty] = run([...lost, [30, { type: 'nothing' }]])
    expect(membersOf(empty).size).to.equal(3)
  })

  it('keeps them as long when it is read once more meanwhile, but nobody who leaves the new one', () => {
    const [view, told] = run([
      [0, snapshot(1, 'a', 'b', 'c')],
      [20, READING],
      [30, anew(9, 'a', 'b')],
      [3000, READING],
      [3010, anew(12, 'a')],
      [5029, { type: 'timer' }],
      [5030, { type: 'timer' }],
    ])
    expect(told.slice(2)).to.deep.equal(['', '', '-b', '', '-c'])
    expect([...membersOf(view).keys()]).to.deep.equal(['a'])
  })

  it('believes a server that still knows somebody: who is missing has left', () => {
    const [view, told] = run([
      [0, snapshot(1, 'a', 'b', 'c')],
      [20, READING],
      [25, diff(10, [], ['b'])],
      [30, snapshot(9, 'a', 'b', 'd')],
    ])
    expect(told[3]).to.equal('+d -c -b')
    expect(isCurrent(view)).to.equal(true)
  })

  const returns: [number, RoomInput][] = [
    [0, snapshot(1, 'a', 'b', 'c')],
    [10, { type: 'lost' }],
    [20, { type: 'reading', returning: 'a' }],
  ]

  it('never tells of itself that it has left and joined, when the snapshot is older than its return', () => {
    const [waiting, told] = run([...returns, [30, snapshot(9, 'b')]])
    expect(told[3]).to.equal('-c')
    expect([...membersOf(waiting).keys()]).to.deep.equal(['a', 'b'])
    expect(isCurrent(waiting)).to.equal(false)
    const [back, after] = run([...returns, [30, snapshot(9, 'b')], [40, diff(10, ['a'])]])
    expect(after.slice(4)).to.deep.equal([''])
    expect(isCurrent(back)).to.equal(true)
    const [, alone] = run([...returns, [30, { type: 'nothing' }], [40, diff(10, ['a'], [], 0)]])
    expect(alone[4]).to.equal('')
  })

  it('gives itself up as well when nothing comes of its return, and believes a later snapshot at once', () => {
    const [, given] = run([...returns, [30, snapshot(9, 'b')], [5030, { type: 'timer' }]])
    expect(given[4]).to.equal('-a')
    const [, later] = run([
      ...returns,
      [30, snapshot(9, 'a', 'b')],
      [40, diff(11, [])],
      [50, snapshot(11, 'b')],
    ])
    expect(later.slice(3)).to.deep.equal(['-c', 'gap', '-a'])
    const [, lostAgain] = run([
      ...returns,
      [25, { type: 'lost' }],
      [30, READING],
      [40, snapshot(9, 'b')],
    ])
    expect(lostAgain[5]).to.equal('-a -c')
  })

  it('has no members above the announce limit, and tells nobody’s leave for it', () => {
    const large: RoomSnapshot = { room: 'r', version: 2, size: 2000, complete: false }
    const [view, told] = run([
      [0, snapshot(1, 'a')],
      [1, READING],
      [2, { type: 'snapshot', snapshot: large }],
    ])
    expect(told.join('')).to.equal('+a')
    expect(membersOf(view).size).to.equal(0)
    expect(view.replica?.size).to.equal(2000)
  })

  it('is the fold of the diffs, wherever the snapshot was read', () => {
    const users = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    fc.assert(
      fc.property(fc.array(users, { minLength: 1, maxLength: 30 }), fc.nat(), (toggles, seed) => {
        const truth: string[][] = [[]]
        const diffs: RoomDiff[] = []
        for (const user of toggles) {
          const before = truth.at(-1) ?? []
          const there = before.includes(user)
          truth.push(there ? before.filter((other) => other !== user) : [...before, user])
          const input = there ? diff(truth.length, [], [user]) : diff(truth.length, [user])
          if (input.type === 'diff') diffs.push(input.diff)
        }
        // The snapshot of some version arrives at some later place among the diffs.
        const version = 1 + (seed % truth.length)
        const at = version - 1 + (seed % (diffs.length - version + 2))
        const inputs: RoomInput[] = diffs.map((one) => ({ type: 'diff', diff: one }))
        inputs.splice(at, 0, snapshot(version, ...(truth[version - 1] ?? [])))
        const [view] = run(inputs.map((input, i) => [i, input]))
        expect([...membersOf(view).keys()].toSorted()).to.deep.equal(
          (truth.at(-1) ?? []).toSorted(),
        )
      }),
    )
  })
})
