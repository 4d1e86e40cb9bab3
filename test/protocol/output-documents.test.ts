import { expect } from 'chai'
import fc from 'fast-check'
import {
  parseBrokerHeartbeat,
  parseMember,
  parseRollCall,
  parseRoomDiff,
  parseRoomSnapshot,
  parseUserDocument,
} from '../../protocol/index.ts'

const TIME = '2026-01-01T00:00:00.000Z'
const MEMBER = { user: 'ann', status: 'online', since: TIME, data: null }
const LEAVE = { user: 'bob', reason: 'closed', since: TIME, lastSeen: TIME }
const USER = {
  user: 'ann',
  status: 'away',
  since: TIME,
  lastSeen: TIME,
  reason: null,
  connections: 1,
  data: { a: [1] },
  version: 7,
}
const SNAPSHOT = { room: 'lobby', version: 7, size: 1, members: [MEMBER] }
const DIFF = {
  room: 'lobby',
  version: 8,
  previous: 7,
  size: 1,
  joined: [MEMBER],
  updated: [],
  left: [LEAVE],
}
const BEAT = { broker: 'b1', status: 'up', connections: 3, intervalMs: 2000 }

interface Kind {
  readonly name: string
  readonly parse: (text: string) => unknown
  readonly good: readonly object[]
  /** One change each to the first good one that makes it a bad one. */
  readonly bad: readonly object[]
}

const KINDS: readonly Kind[] = [
  {
    name: 'a user document',
    parse: parseUserDocument,
    good: [USER, { ...USER, status: 'offline', reason: 'closed', connections: 0, data: null }],
    bad: [
      { user: 7 },
      { status: 'there' },
      { since: 'yesterday' },
      { since: 7 },
      { lastSeen: undefined },
      { reason: 'bored' },
      { reason: undefined },
      { connections: '1' },
      { connections: 1.5 },
      { data: undefined },
      { version: null },
    ],
  },
  {
    name: 'a member',
    parse: parseMember,
    good: [MEMBER, { ...MEMBER, status: 'away', data: { deep: [[[[]]]] } }],
    bad: [{ user: null }, { status: 'offline' }, { since: '' }, { data: undefined }],
  },
  {
    name: 'a room snapshot',
    parse: parseRoomSnapshot,
    good: [
      SNAPSHOT,
      { ...SNAPSHOT, members: [], size: 0 },
      { room: 'lobby', version: 7, size: 5000, complete: false },
    ],
    bad: [
      { room: 1 },
      { version: '7' },
      { size: 0.5 },
      { members: undefined },
      { members: {} },
      { members: [{ ...MEMBER, user: 1 }] },
      { members: [null] },
    ],
  },
  {
    name: 'a room diff',
    parse: parseRoomDiff,
    good: [DIFF, { ...DIFF, joined: [], left: [], complete: false }],
    bad: [
      { previous: null },
      { joined: null },
      { updated: [1] },
      { left: undefined },
      { left: [{ ...LEAVE, reason: null }] },
      { left: [{ ...LEAVE, lastSeen: 'x' }] },
      { left: [MEMBER] },
    ],
  },
  {
    name: 'a heartbeat',
    parse: parseBrokerHeartbeat,
    good: [BEAT, { ...BEAT, status: 'closing', connections: 0, rollcall: 'r-1' }],
    bad: [
      { broker: '' },
      { broker: 1 },
      { status: 'down' },
      { connections: 'three' },
      { intervalMs: 0 },
      { intervalMs: '2s' },
      { rollcall: '' },
      { rollcall: 7 },
    ],
  },
]

describe('output documents', () => {
  for (const { name, parse, good, bad } of KINDS) {
    describe(name, () => {
      it('is read as it was written', () => {
        for (const value of good) {
          expect(parse(JSON.stringify(value)), JSON.stringify(value)).to.deep.equal(value)
        }
      })

      for (const change of bad) {
        const [[key, value] = ['', undefined]] = Object.entries(change)
        it(`is none when ${key} is ${JSON.stringify(value)}`, () => {
          expect(parse(JSON.stringify({ ...good[0], ...change }))).to.equal(undefined)
        })
      }

      it('is none of: nothing, a word, a list, null, a cut-off document, 100,000 levels', () => {
        const cut = JSON.stringify(good[0]).slice(0, -1)
        for (const text of ['', 'offline', '[]', 'null', cut, '['.repeat(100_000)]) {
          expect(parse(text)).to.equal(undefined)
        }
      })

      it('is looked for in any string without an exception', () => {
        fc.assert(
          fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
            parse(text)
          }),
        )
      })
    })
  }

  it('a roll call may bring an id to answer to', () => {
    expect(parseRollCall('{"rollcall":"x-1"}')).to.deep.equal({ rollcall: 'x-1' })
    expect(parseRollCall('{"rollcall":1}')).to.equal(undefined)
    expect(parseRollCall('')).to.equal(undefined)
    expect(parseRollCall('[]')).to.equal(undefined)
  })
})
