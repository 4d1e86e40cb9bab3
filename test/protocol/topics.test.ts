import { expect } from 'chai'
import fc from 'fast-check'
import {
  createTopics,
  escapeId,
  isValidId,
  MAX_ID_LENGTH,
  parseRoot,
  parseTopic,
  unescapeId,
  type ParsedTopic,
} from '../../protocol/index.ts'

/** Ids that have broken something somewhere, and the level that each becomes. */
const NAMED: readonly (readonly [id: string, level: string])[] = [
  ['ann', 'ann'],
  ['a/b', 'a%2Fb'],
  ['+', '%2B'],
  ['#', '%23'],
  ['100%', '100%25'],
  ['%2F', '%252F'],
  ['/', '%2F'],
  ['a b', 'a b'],
  [' ', ' '],
  ['한국어', '한국어'],
  ['👩‍👩‍👧 🇰🇷', '👩‍👩‍👧 🇰🇷'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['$SYS', '$SYS'],
  ['status', 'status'],
  ['\u0000', '%00'],
  ['\n\t\u007f\u0085', '%0A%09%7F%C2%85'],
  ['\ufffe\ufdd0', '%EF%BF%BE%EF%B7%90'],
  ['\u{1fffe}\u{10ffff}', '%F0%9F%BF%BE%F4%8F%BF%BF'],
  ['x'.repeat(200), 'x'.repeat(200)],
  ['한'.repeat(MAX_ID_LENGTH), '한'.repeat(MAX_ID_LENGTH)],
]

const BAD_IDS = ['', 'x'.repeat(MAX_ID_LENGTH + 1), '\ud800', 'a\udc00b']

const BAD_LEVELS = ['', '%', '%2', '%zz', '%ff', '%ed%a0%80', 'x'.repeat(MAX_ID_LENGTH + 1)]

/** Any valid id: any characters, and what means something to topics all the more often. */
const ids = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: fc.constantFrom('/', '+', '#', '%', '2', 'F', '$', ' ', '한', '\u0000') }),
    fc.constantFrom(...NAMED.map(([id]) => id)),
  )
  .filter(isValidId)

const roots = fc.constantFrom(
  'presence',
  'acme/presence',
  'a/b/c/d/e',
  '한국/방',
  'users',
  'a/users',
)

/** Every topic of the contract and what it is about. */
const parsed: fc.Arbitrary<ParsedTopic> = fc.oneof(
  fc.record({ kind: fc.constantFrom('user' as const, 'userStatus' as const), user: ids }),
  fc.record({ kind: fc.constant('bridgeState' as const), user: ids }),
  fc.record({ kind: fc.constantFrom('room' as const, 'roomCount' as const), room: ids }),
  fc.record({ kind: fc.constant('roomEvents' as const), room: ids }),
  fc.record({ kind: fc.constant('member' as const), room: ids, user: ids }),
  fc.record({ kind: fc.constant('connection' as const), user: ids, client: ids }),
  fc.record({ kind: fc.constant('bridge' as const), bridge: ids }),
  fc.record({ kind: fc.constant('broker' as const), broker: ids }),
  fc.record({
    kind: fc.constantFrom('rollcall' as const, 'ping' as const, 'bridgeStatus' as const),
  }),
)

function build(root: string, topic: ParsedTopic): string {
  const topics = createTopics(root)
  switch (topic.kind) {
    case 'user':
    case 'userStatus':
    case 'bridgeState':
      return topics[topic.kind](topic.user)
    case 'room':
    case 'roomCount':
    case 'roomEvents':
      return topics[topic.kind](topic.room)
    case 'member':
      return topics.member(topic.room, topic.user)
    case 'connection':
      return topics.connection(topic.user, topic.client)
    case 'bridge':
      return topics.bridge(topic.bridge)
    case 'broker':
      return topics.broker(topic.broker)
    case 'rollcall':
    case 'ping':
    case 'bridgeStatus':
      return topics[topic.kind]
  }
}

describe('ids in topics', () => {
  for (const [id, level] of NAMED) {
    it(`${JSON.stringify(id.slice(0, 20))} becomes ${JSON.stringify(level.slice(0, 30))} and comes back`, () => {
      expect(escapeId(id)).to.equal(level)
      expect(unescapeId(level)).to.equal(id)
    })
  }

  it('any valid id comes back, and fits into one level', () => {
    fc.assert(
      fc.property(ids, (id) => {
        const level = escapeId(id)
        expect(level).not.to.match(/[/+#\p{Cc}\p{Noncharacter_Code_Point}]/u)
        expect(unescapeId(level)).to.equal(id)
      }),
    )
  })

  it('two ids are never one level', () => {
    fc.assert(
      fc.property(ids, ids, (a, b) => {
        expect(escapeId(a) === escapeId(b)).to.equal(a === b)
      }),
    )
  })

  for (const id of BAD_IDS) {
    it(`${JSON.stringify(id.slice(0, 20))} (${id.length} code units) is no id`, () => {
      expect(isValidId(id)).to.equal(false)
    })
  }

  for (const level of BAD_LEVELS) {
    it(`the level ${JSON.stringify(level.slice(0, 20))} (${level.length}) stands for no id`, () => {
      expect(unescapeId(level)).to.equal(undefined)
    })
  }

  it('an id whose escaped form is longer than the limit still comes back', () => {
    const id = '\u{10ffff}'.repeat(MAX_ID_LENGTH / 2)
    expect(unescapeId(escapeId(id))).to.equal(id)
  })
})

describe('topics', () => {
  it('are those of the contract', () => {
    const topics = createTopics('acme/presence')
    expect([
      topics.user('a/b'),
      topics.userStatus('ann'),
      topics.room('r#1'),
      topics.member('r', 'ann'),
      topics.roomCount('r'),
      topics.roomEvents('r'),
      topics.bridgeStatus,
      topics.bridge('x'),
      topics.connection('ann', 'tab'),
      topics.rollcall,
      topics.broker('b1'),
    ]).to.deep.equal([
      'acme/presence/users/a%2Fb',
      'acme/presence/users/ann/status',
      'acme/presence/rooms/r%231',
      'acme/presence/rooms/r/members/ann',
      'acme/presence/rooms/r/count',
      'acme/presence/rooms/r/events',
      'acme/presence/bridge/status',
      'acme/presence/bridges/x',
      'acme/presence/connections/ann/tab',
      'acme/presence/rollcall',
      'acme/presence/brokers/b1',
    ])
    expect(createTopics().root).to.equal('presence')
  })

  it('parseTopic is the inverse of every builder, whatever the root and the ids', () => {
    fc.assert(
      fc.property(roots, parsed, (root, topic) => {
        expect(parseTopic(root, build(root, topic))).to.deep.equal(topic)
      }),
    )
  })

  it('parseTopic finds the same from a topic that another program escaped in small letters', () => {
    expect(parseTopic('p', 'p/users/a%2fb')).to.deep.equal({ kind: 'user', user: 'a/b' })
  })

  const others = [
    '',
    'p',
    'p/',
    'px/users/ann',
    'q/users/ann',
    'p/users',
    'p/users/',
    'p/users/ann/',
    'p/users/ann/Status',
    'p/users/ann/status/x',
    'p/users/%zz',
    'p/rooms//count',
    'p/rooms/r/members',
    'p/rooms/r/members/',
    'p/rooms/r/members/ann/x',
    'p/rooms/r/nothing',
    'p/connections/ann',
    'p/connections/ann/',
    'p/connections//tab',
    'p/connections/ann/tab/x',
    'p/bridge',
    'p/bridge/state',
    'p/bridge/state/',
    'p/bridge/status/x',
    'p/bridge/nothing',
    'p/bridges',
    'p/brokers/b/x',
    'p/rollcall/x',
    'p/constructor/x',
    'p/__proto__/x',
  ]
  for (const topic of others) {
    it(`${JSON.stringify(topic)} is no topic of the contract`, () => {
      expect(parseTopic('p', topic)).to.equal(undefined)
    })
  }

  it('parseTopic takes any string', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (rest) => {
        parseTopic('p', `p/${rest}`)
        parseTopic('p', `p/users/${rest}`)
        parseTopic('p', `p/rooms/${rest}/members/${rest}`)
      }),
    )
  })
})

describe('a root', () => {
  for (const root of [
    'presence',
    'acme/presence',
    'a/b/c/d',
    '한국 어/방',
    'x'.repeat(MAX_ID_LENGTH),
  ]) {
    it(`may be ${root.slice(0, 20)}`, () => {
      expect(parseRoot(root)).to.deep.equal({ ok: true, value: root })
    })
  }

  const bad = ['', '/', '/a', 'a/', 'a//b', '+', 'a/#', 'a+', '$SYS', '$share/a', 'a%zz', 'a\nb']
  for (const root of [...bad, 'x'.repeat(MAX_ID_LENGTH + 1)]) {
    it(`may not be ${JSON.stringify(root.slice(0, 20))}, and the error says expected and got`, () => {
      const result = parseRoot(root)
      expect(result.ok).to.equal(false)
      if (!result.ok) expect(result.error).to.match(/^expected a topic prefix .*, got "/)
    })
  }
})
