import { expect } from 'chai'
import { listChanges, restAfterFlush, sameMember } from '../../../bridge/core/index.ts'
import type { Json, Leave, Member } from '../../../protocol/index.ts'

const EARLY = '2026-01-01T00:00:00.000Z'
const LATE = '2026-01-01T00:00:09.000Z'

function member(data: Json, since = EARLY): Member {
  return { user: 'ann', status: 'online', since, data }
}

const LEAVE: Leave = { user: 'ann', reason: 'closed', since: LATE, lastSeen: LATE }

describe('the lists of a diff', () => {
  const change = (before: Member | null, after: Member | null) =>
    listChanges([{ user: 'ann', before, after, leave: after ? null : LEAVE }])

  it('who was not there and is there has joined', () => {
    const after = member(1)
    expect(change(null, after)).to.deep.equal({ joined: [after], updated: [], left: [] })
  })

  it('who was there and is not there has left, and was there since readers saw it join', () => {
    const left = [{ ...LEAVE, since: EARLY }]
    expect(change(member(1), null)).to.deep.equal({ joined: [], updated: [], left })
  })

  it('who joined and left between two flushes is in no list', () => {
    expect(change(null, null)).to.deep.equal({ joined: [], updated: [], left: [] })
  })

  it('who changed and changed back is in no list', () => {
    expect(change(member({ a: [1] }), member({ a: [1] }))).to.deep.equal({
      joined: [],
      updated: [],
      left: [],
    })
  })

  it('who left and joined again is updated: its since is new', () => {
    const after = member(1, LATE)
    expect(change(member(1), after)).to.deep.equal({ joined: [], updated: [after], left: [] })
  })

  it('a member is the same when status, since and data are', () => {
    expect(sameMember(member({ a: 1, b: 2 }), member({ b: 2, a: 1 }))).to.equal(true)
    expect(sameMember(member(1), { ...member(1), status: 'away' })).to.equal(false)
    expect(sameMember(member(null), member(0))).to.equal(false)
  })
})

describe('the pause after a flush', () => {
  const pace = { minMs: 50, maxMs: 500, announceLimit: 1000 }
  const rows = [
    [0, 50],
    [1, 50],
    [500, 275],
    [1000, 500],
    [50_000, 500],
  ] as const
  for (const [size, ms] of rows) {
    it(`of a room of ${size} is ${ms} ms`, () => {
      expect(restAfterFlush(size, pace)).to.equal(ms)
    })
  }

  it('is the longest when no members are announced at all', () => {
    expect(restAfterFlush(0, { ...pace, announceLimit: 0 })).to.equal(500)
  })
})
