import { expect } from 'chai'
import fc from 'fast-check'
import {
  CAUSES,
  DEFAULT_DOCUMENT_LIMITS,
  formatConnectionDocument,
  isValidId,
  parseConnectionDocument,
  type ConnectionDocument,
  type Json,
} from '../../protocol/index.ts'

const GOOD: readonly (readonly [text: string, document: ConnectionDocument])[] = [
  ['online', { status: 'online' }],
  ['ONLINE', { status: 'online' }],
  ['Away', { status: 'away' }],
  [' offline\n', { status: 'offline' }],
  ['oFfLiNe', { status: 'offline' }],
  ['', { status: 'offline', reason: 'left' }],
  ['  \n', { status: 'offline', reason: 'left' }],
  ['{"status":"online"}', { status: 'online' }],
  [' {"status":"away", "seq":0}\n', { status: 'away', seq: 0 }],
  ['{"status":"offline","reason":"unload"}', { status: 'offline', reason: 'unload' }],
  ['{"status":"online","connection":"c 1/한"}', { status: 'online', connection: 'c 1/한' }],
  ['{"status":"online","rooms":{}}', { status: 'online', rooms: new Map() }],
  [
    '{"status":"online","rooms":{"lobby":null,"__proto__":{"a":1},"constructor":1,"a/b#":[]}}',
    {
      status: 'online',
      rooms: new Map<string, Json>([
        ['lobby', null],
        ['__proto__', { a: 1 }],
        ['constructor', 1],
        ['a/b#', []],
      ]),
    },
  ],
  ['{"status":"online","data":null}', { status: 'online', data: null }],
  ['{"status":"online","data":"x"}', { status: 'online', data: 'x' }],
  [
    '{"status":"online","grace":{"closed":"90s","unload":0,"left":"0","timeout":1500}}',
    { status: 'online', grace: { closed: 90_000, unload: 0, left: 0, timeout: 1500 } },
  ],
  ['{"status":"online","tolerance":"1m"}', { status: 'online', tolerance: 60_000 }],
  [
    '{"status":"offline","broker":"b1","ended":true,"lastSeen":"2026-01-01T00:00:00.000Z"}',
    { status: 'offline', broker: 'b1', ended: true, lastSeen: 1_767_225_600_000 },
  ],
  [
    '{"status":"online","broker":"b1","stamp":9007199254740991}',
    { status: 'online', broker: 'b1', stamp: Number.MAX_SAFE_INTEGER },
  ],
  ['{"status":"online","version":2,"unknown":{"later":1}}', { status: 'online' }],
  ['{"__proto__":{"status":"away"},"status":"online"}', { status: 'online' }],
]

/** What is wrong, and the sentence about it. */
const BAD: readonly (readonly [text: string, error: string])[] = [
  ['on', 'expected JSON, got something else: "on"'],
  ['{"status":"online"', 'expected JSON, got something else: "{\\"status\\":\\"online\\""'],
  ['{status:"online"}', 'expected JSON, got something else: "{status:\\"online\\"}"'],
  ['"online"', 'expected an object or one of online, away, offline, got "online"'],
  ['true', 'expected an object or one of online, away, offline, got true'],
  ['null', 'expected an object or one of online, away, offline, got null'],
  [
    '[{"status":"online"}]',
    'expected an object or one of online, away, offline, got [{"status":"online"}]',
  ],
  ['{}', 'expected status online, away or offline, got nothing'],
  ['{"status":"Online"}', 'expected status online, away or offline, got "Online"'],
  ['{"status":["online"]}', 'expected status online, away or offline, got ["online"]'],
  ['{"__proto__":{"status":"online"}}', 'expected status online, away or offline, got nothing'],
  [
    '{"status":"online","connection":7}',
    'connection: expected an id of 1 to 256 characters, got 7',
  ],
  [
    '{"status":"online","connection":""}',
    'connection: expected an id of 1 to 256 characters, got ""',
  ],
  [
    '{"status":"online","connection":null}',
    'connection: expected an id of 1 to 256 characters, got null',
  ],
  [
    '{"status":"online","connection":"\\ud800"}',
    'connection: expected an id of 1 to 256 characters, got "\\ud800"',
  ],
  ['{"status":"online","seq":-1}', 'seq: expected a whole number from 0, got -1'],
  ['{"status":"online","seq":1.5}', 'seq: expected a whole number from 0, got 1.5'],
  ['{"status":"online","seq":"1"}', 'seq: expected a whole number from 0, got "1"'],
  ['{"status":"online","seq":1e99}', 'seq: expected a whole number from 0, got 1e+99'],
  [
    '{"status":"online","rooms":["lobby"]}',
    'rooms: expected an object of room: member data, got ["lobby"]',
  ],
  ['{"status":"online","rooms":null}', 'rooms: expected an object of room: member data, got null'],
  ['{"status":"online","rooms":{"":1}}', 'expected room names of 1 to 256 characters, got ""'],
  [
    '{"status":"online","reason":"bored"}',
    'reason: expected a cause such as left or unload, got "bored"',
  ],
  ['{"status":"online","grace":5}', 'grace: expected an object of cause: duration, got 5'],
  [
    '{"status":"online","grace":{"bored":5}}',
    'grace: expected causes such as closed or unload, got "bored"',
  ],
  [
    '{"status":"online","grace":{"constructor":5}}',
    'grace: expected causes such as closed or unload, got "constructor"',
  ],
  [
    '{"status":"online","grace":{"closed":"5"}}',
    'grace.closed: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got "5" without a unit',
  ],
  [
    '{"status":"online","grace":{"closed":-5}}',
    'grace.closed: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got -5',
  ],
  [
    '{"status":"online","tolerance":"soon"}',
    'tolerance: expected a duration such as 0 or 30s, got "soon"',
  ],
  ['{"status":"online","broker":{}}', 'broker: expected an id of 1 to 256 characters, got {}'],
  ['{"status":"online","ended":"yes"}', 'ended: expected true or false, got "yes"'],
  ['{"status":"online","lastSeen":7}', 'lastSeen: expected an ISO 8601 time, got 7'],
  ['{"status":"online","lastSeen":"noon"}', 'lastSeen: expected an ISO 8601 time, got "noon"'],
  ['{"status":"online","stamp":0}', 'stamp: expected a whole number from 1, got 0'],
  ['{"status":"online","stamp":-1}', 'stamp: expected a whole number from 1, got -1'],
  ['{"status":"online","stamp":1.5}', 'stamp: expected a whole number from 1, got 1.5'],
  ['{"status":"online","stamp":"7"}', 'stamp: expected a whole number from 1, got "7"'],
  [
    '{"status":"online","stamp":9007199254740992}',
    'stamp: expected a whole number from 1, got 9007199254740992',
  ],
]

function nested(levels: number): string {
  return `{"status":"online","data":${'['.repeat(levels)}${']'.repeat(levels)}}`
}

function errorOf(text: string): string {
  const result = parseConnectionDocument(text)
  return result.ok ? 'fine' : result.error
}

describe('a connection document', () => {
  for (const [text, document] of GOOD) {
    it(`may be ${JSON.stringify(text)}`, () => {
      expect(parseConnectionDocument(text)).to.deep.equal({ ok: true, value: document })
    })
  }

  for (const [text, error] of BAD) {
    it(`${text} is refused: ${error}`, () => expect(errorOf(text)).to.equal(error))
  }

  it('of 1 MB is refused before it is read', () => {
    const text = `{"status":"online","data":"${'x'.repeat(1_048_576)}"}`
    expect(errorOf(text)).to.equal(`expected at most 65536 bytes, got ${text.length} bytes`)
  })

  for (const [what, filler] of [
    ['ASCII', 'x'],
    ['Korean', '한'],
    ['emoji', '🙂'],
  ] as const) {
    it(`of ${what} may have 65536 bytes and no more`, () => {
      const shell = '{"status":"online","data":""}'
      const count = Math.floor((65_536 - shell.length) / Buffer.byteLength(filler))
      const full = shell.replace('""', `"${filler.repeat(count)}"`)
      const text = full + ' '.repeat(65_536 - Buffer.byteLength(full))
      expect(parseConnectionDocument(text).ok).to.equal(true)
      expect(errorOf(`${text} `)).to.equal('expected at most 65536 bytes, got 65537 bytes')
    })
  }

  it('with 10,000 rooms is refused', () => {
    const rooms = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`r${i}`, 0]))
    const text = JSON.stringify({ status: 'online', rooms })
    const limits = { ...DEFAULT_DOCUMENT_LIMITS, maxDocumentSize: 1_000_000 }
    expect(parseConnectionDocument(text, limits)).to.deep.equal({
      ok: false,
      error: 'expected at most 100 rooms, got 10000',
    })
    expect(errorOf(text)).to.match(/^expected at most 65536 bytes, got \d+ bytes$/)
  })

  it('that nests 100,000 levels is refused without an overflow, whatever it nests', () => {
    const limits = { ...DEFAULT_DOCUMENT_LIMITS, maxDocumentSize: 10_000_000 }
    const texts = [nested(100_000), '['.repeat(100_000), '{"a":'.repeat(100_000)]
    for (const text of texts) {
      const result = parseConnectionDocument(text, limits)
      expect(result.ok).to.equal(false)
      if (!result.ok)
        expect(result.error).to.match(/^expected at most 32 levels of nesting, got more: /)
    }
  })

  it('may nest 32 levels, its own included, in its data and in that of members', () => {
    const error = /^expected at most 32 levels of nesting, got more: /
    expect(errorOf(nested(31))).to.equal('fine')
    expect(errorOf(nested(32))).to.match(error)
    const inRoom = (levels: number): string =>
      nested(levels).replace('"data":', '"rooms":{"lobby":').concat('}')
    expect(errorOf(inRoom(30))).to.equal('fine')
    expect(errorOf(inRoom(31))).to.match(error)
  })

  it('may have brackets in its strings as it likes', () => {
    const data = `\\"${'[{'.repeat(1000)}\\\\`
    const text = JSON.stringify({ status: 'online', data })
    expect(parseConnectionDocument(text)).to.deep.equal({
      ok: true,
      value: { status: 'online', data },
    })
  })

  it('has an error that is one short line, whatever came', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const error = errorOf(text)
        expect(error.length).to.be.lessThan(200)
        expect(error).not.to.match(/[\n\r]/)
      }),
    )
  })

  it('is the same after it was written and read', () => {
    fc.assert(
      fc.property(documents(), (document) => {
        const text = formatConnectionDocument(document)
        const limits = { maxDocumentSize: 10_000_000, maxRooms: 100, maxDepth: 32 }
        expect(parseConnectionDocument(text, limits)).to.deep.equal({ ok: true, value: document })
      }),
    )
  })
})

/** Any document, with only what JSON can carry. */
function documents(): fc.Arbitrary<ConnectionDocument> {
  const ids = fc
    .oneof(fc.string({ minLength: 1, maxLength: 20 }), fc.constantFrom('__proto__', 'constructor'))
    .filter(isValidId)
  const json = fc.jsonValue({ maxDepth: 4, noUnicodeString: false }).map(withoutMinusZero)
  const durations = fc.nat(86_400_000)
  return fc.record(
    {
      status: fc.constantFrom('online', 'away', 'offline'),
      connection: ids,
      seq: fc.maxSafeNat(),
      rooms: fc.array(fc.tuple(ids, json), { maxLength: 5 }).map((rooms) => new Map(rooms)),
      data: json,
      reason: fc.constantFrom(...CAUSES),
      grace: fc.record(
        { closed: durations, unload: durations, broker: durations },
        { requiredKeys: [] },
      ),
      tolerance: durations,
      broker: ids,
      ended: fc.boolean(),
      lastSeen: fc.nat(4_000_000_000_000),
      stamp: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    },
    { requiredKeys: ['status'] },
  )
}

/** JSON knows no -0. */
function withoutMinusZero(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}
