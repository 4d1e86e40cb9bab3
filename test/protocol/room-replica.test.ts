import { expect } from 'chai'
import fc from 'fast-check'
import {
  applyDiff,
  applySnapshot,
  type Leave,
  type Member,
  type RoomDiff,
  type RoomReplica,
  type RoomSnapshot,
} from '../../protocol/index.ts'

const TIME = '2026-01-01T00:00:00.000Z'

function member(user: string, data = 0): Member {
  return { user, status: 'online', since: TIME, data }
}

function leave(user: string): Leave {
  return { user, reason: 'closed', since: TIME, lastSeen: TIME }
}

function snapshot(version: number, members: readonly Member[] | null, size = 0): RoomSnapshot {
  const head = { room: 'lobby', version, size: members?.length ?? size }
  return members ? { ...head, members } : { ...head, complete: false }
}

function diff(previous: number, version: number, lists: Partial<RoomDiff> = {}): RoomDiff {
  return { room: 'lobby', previous, version, size: 0, joined: [], updated: [], left: [], ...lists }
}

function at(version: number, ...names: string[]): RoomReplica {
  return applySnapshot(
    undefined,
    snapshot(
      version,
      names.map((user) => member(user)),
    ),
  )
}

function users(replica: RoomReplica): string[] {
  return [...replica.members.keys()]
}

describe('a room replica', () => {
  it('begins as its snapshot', () => {
    expect(applySnapshot(undefined, snapshot(5, [member('ann'), member('bob')]))).to.deep.equal({
      version: 5,
      size: 2,
      members: new Map([
        ['ann', member('ann')],
        ['bob', member('bob')],
      ]),
      complete: true,
    })
  })

  it('does not go back to a snapshot that is older or the same', () => {
    const replica = at(5, 'ann')
    expect(applySnapshot(replica, snapshot(4, []))).to.equal(replica)
    expect(applySnapshot(replica, snapshot(5, []))).to.equal(replica)
    expect(applySnapshot(replica, snapshot(6, [])).members.size).to.equal(0)
  })

  it('takes the diff that follows: who left, joined and changed', () => {
    const lists = { left: [leave('ann')], joined: [member('cat')], updated: [member('bob', 1)] }
    const outcome = applyDiff(at(5, 'ann', 'bob'), diff(5, 9, { ...lists, size: 2 }))
    expect(outcome).to.deep.equal({
      kind: 'applied',
      replica: {
        version: 9,
        size: 2,
        members: new Map([
          ['bob', member('bob', 1)],
          ['cat', member('cat')],
        ]),
        complete: true,
      },
    })
  })

  it('is not changed itself by a diff', () => {
    const replica = at(5, 'ann')
    applyDiff(replica, diff(5, 6, { left: [leave('ann')] }))
    expect(users(replica)).to.deep.equal(['ann'])
  })

  it('drops a diff up to its own version', () => {
    expect(applyDiff(at(5), diff(4, 5))).to.deep.equal({ kind: 'old' })
    expect(applyDiff(at(5), diff(1, 2))).to.deep.equal({ kind: 'old' })
  })

  it('notices that a diff is missing', () => {
    expect(applyDiff(at(5), diff(6, 7))).to.deep.equal({ kind: 'gap' })
    expect(applyDiff(at(5), diff(4, 7))).to.deep.equal({ kind: 'gap' })
  })

  it('knows the size only, once the room has grown above the announce limit', () => {
    const outcome = applyDiff(at(5, 'ann'), diff(5, 6, { size: 5000, complete: false }))
    expect(outcome).to.deep.equal({
      kind: 'applied',
      replica: { version: 6, size: 5000, members: new Map(), complete: false },
    })
  })

  it('goes on with sizes while the room stays above the limit', () => {
    const big = applySnapshot(undefined, snapshot(5, null, 5000))
    expect(big.complete).to.equal(false)
    const outcome = applyDiff(big, diff(5, 6, { size: 5001, complete: false }))
    expect(outcome.kind === 'applied' && outcome.replica.size).to.equal(5001)
  })

  it('reads the snapshot again when the room comes back below the limit', () => {
    const big = applySnapshot(undefined, snapshot(5, null, 5000))
    expect(applyDiff(big, diff(5, 6, { size: 1, left: [leave('ann')] }))).to.deep.equal({
      kind: 'gap',
    })
    expect(users(applySnapshot(big, snapshot(6, [member('bob')])))).to.deep.equal(['bob'])
  })

  it('equals the room, whatever is lost, repeated or late, as long as it reads again at a gap', () => {
    const changes = fc.array(
      fc.record({ user: fc.constantFrom('a', 'b', 'c', 'd'), data: fc.option(fc.nat(3)) }),
      { maxLength: 3 },
    )
    const plan = fc.array(fc.record({ changes, lost: fc.boolean(), again: fc.nat(5) }), {
      maxLength: 20,
    })
    fc.assert(
      fc.property(plan, (steps) => {
        const limit = 2
        const history: RoomDiff[] = []
        let room = new Map<string, Member>()
        let version = 1
        let current = snapshot(version, [])
        let replica = applySnapshot(undefined, current)
        const read = (next: RoomDiff): void => {
          const outcome = applyDiff(replica, next)
          if (outcome.kind === 'applied') ({ replica } = outcome)
          else if (outcome.kind === 'gap') replica = applySnapshot(replica, current)
        }
        for (const { changes: list, lost, again } of steps) {
          const before = room
          room = new Map(before)
          for (const { user, data } of list) {
            if (data === null) room.delete(user)
            else room.set(user, member(user, data))
          }
          const complete = room.size <= limit
          const lists = complete
            ? {
                joined: [...room.values()].filter(({ user }) => !before.has(user)),
                updated: [...room.values()].filter(({ user }) => before.has(user)),
                left: [...before.keys()].filter((user) => !room.has(user)).map(leave),
              }
            : { complete: false as const }
          const next = diff(version, ++version, { size: room.size, ...lists })
          history.push(next)
          current = snapshot(version, complete ? [...room.values()] : null, room.size)
          const late = history[again]
          if (late) read(late)
          if (!lost) read(next)
        }
        read(
          diff(version, ++version, {
            size: room.size,
            ...(room.size > limit && { complete: false }),
          }),
        )
        current = snapshot(version, room.size > limit ? null : [...room.values()], room.size)
        if (replica.version !== version) replica = applySnapshot(replica, current)
        expect(replica.size).to.equal(room.size)
        expect(replica.complete).to.equal(room.size <= limit)
        if (replica.complete) expect(replica.members).to.deep.equal(room)
      }),
    )
  })
})
