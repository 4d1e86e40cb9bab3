import { expect } from 'chai'
import { DEFAULT_GRACE, resolvePolicy, type PolicyOptions } from '../../../bridge/core/index.ts'

const BAD: readonly (readonly [PolicyOptions, string])[] = [
  [{ grace: { closed: -1 } }, 'grace.closed must be a number from 0 to 86400000, got -1'],
  [{ grace: { left: 86_400_001 } }, 'grace.left must be a number from 0 to 86400000, got 86400001'],
  [{ grace: { error: Number.NaN } }, 'grace.error must be a number from 0 to 86400000, got NaN'],
  [
    { roomGrace: [{ pattern: 'doc-*', grace: { unload: Infinity } }] },
    'roomGrace doc-*.unload must be a number from 0 to 86400000, got Infinity',
  ],
  [
    { roomGrace: [{ pattern: '', grace: {} }] },
    'roomGrace: expected a pattern such as doc-*, got ""',
  ],
  [
    { maxConnectionGraceMs: -5 },
    'maxConnectionGraceMs must be a number from 0 to 86400000, got -5',
  ],
  [
    { retainedOfflineMs: -1 },
    'retainedOfflineMs must be a number from 0 to 9007199254740991, got -1',
  ],
  [{ maxConnectionsPerUser: 0 }, 'maxConnectionsPerUser must be a number from 1 to 100000, got 0'],
]

const PATTERNS: readonly (readonly [pattern: string, room: string, matches: boolean])[] = [
  ['doc-*', 'doc-1', true],
  ['doc-*', 'doc-', true],
  ['doc-*', 'a doc-1', false],
  ['*', 'anything\nat all 한국어', true],
  ['a*c*e', 'abcde', true],
  ['a*c*e', 'abcd', false],
  ['a.c', 'abc', false],
  ['a+(b|c)', 'a+(b|c)', true],
  ['[x]', 'x', false],
  ['**', '', true],
  ['Lobby', 'lobby', false],
]

describe('resolvePolicy', () => {
  for (const [options, message] of BAD) {
    it(`says: ${message}`, () => {
      expect(() => resolvePolicy(options)).to.throw(RangeError, message)
    })
  }

  it('fills in the defaults, cause by cause', () => {
    expect(resolvePolicy({ grace: { closed: 1 } })).to.deep.equal({
      grace: { ...DEFAULT_GRACE, closed: 1 },
      roomGrace: [],
      maxConnectionGraceMs: 600_000,
      retainedOfflineMs: 604_800_000,
      maxConnectionsPerUser: 100,
    })
  })

  for (const [pattern, room, matches] of PATTERNS) {
    it(`${pattern} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(room)}`, () => {
      const [rule] = resolvePolicy({ roomGrace: [{ pattern, grace: {} }] }).roomGrace
      expect(rule?.matches.test(room)).to.equal(matches)
    })
  }
})
