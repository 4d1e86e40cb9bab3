import { expect } from 'chai'
import { silentLogger } from '../../../runtime/logger.ts'
import { eventually } from '../../helpers/within.ts'
import { connectOf, packet, text, u16 } from './bytes.ts'
import { openHouseForTest } from './stranger.ts'

interface Line {
  readonly fields: { readonly client?: string | null; readonly error?: string }
  readonly message: string
}

const USER_NAME = 0x80

/** What a stranger sends, behind a CONNECT or as one, and what the log says of it. */
const ROWS: readonly (readonly [string, string, Buffer, string])[] = [
  ...['\u0001', '\n', '\t', '\u007f', '\u0085', '\ufdd0'].map((character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    return [
      `U+${code} in a client id`,
      'connection refused',
      connectOf(4, { payload: [text(`a${character}b`)] }),
      `expected a client id without control characters and noncharacters, got U+${code}`,
    ] as const
  }),
  [
    'a control character in a user name',
    'connection refused',
    connectOf(4, { flags: 2 | USER_NAME, payload: [text('p'), text('al\u0001ice')] }),
    'expected a user name without control characters and noncharacters, got U+0001',
  ],
  [
    'a control character in a will topic',
    'connection refused',
    connectOf(4, { flags: 6, payload: [text('p'), text('a\tb'), text('m')] }),
    'expected a will topic without control characters and noncharacters, got U+0009',
  ],
  [
    'a client id that is no text',
    'connection refused',
    connectOf(4, { payload: [text(Buffer.of(0xff))] }),
    'expected a client id in UTF-8, got other bytes',
  ],
  [
    'a CONNECT that will be too large',
    'connection refused',
    Buffer.from([0x10, 0x80, 0x80, 8, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4]),
    'expected a CONNECT of at most 65536 bytes, got 131076 bytes',
  ],
  [
    'something that is not MQTT',
    'connection refused',
    Buffer.from('GET / HTTP/1.1'),
    'expected CONNECT as the first packet, got something else',
  ],
  [
    'a packet that will be too large',
    'connection ended',
    Buffer.concat([connectOf(4), Buffer.from([0x30, 0x80, 0x80, 0x80, 1])]),
    'expected a packet of at most 2097152 bytes, got 2097157 bytes',
  ],
  [
    'a second CONNECT',
    'connection ended',
    Buffer.concat([connectOf(4), connectOf(4)]),
    'expected one CONNECT, got another one',
  ],
  [
    'a tab in a topic',
    'connection ended',
    Buffer.concat([connectOf(4), packet(0x30, text('a\tb'))]),
    'expected a topic without control characters and noncharacters, got U+0009',
  ],
  [
    'a line break in a filter',
    'connection ended',
    Buffer.concat([connectOf(4), packet(0x82, u16(1), text('a\nb'), 0)]),
    'expected a filter without control characters and noncharacters, got U+000A',
  ],
  [
    'an id that may not be',
    'connection ended',
    Buffer.concat([connectOf(4), packet(0x82, u16(0), text('a'), 0)]),
    'expected a packet id from 1, got 0',
  ],
]

describe('the log, of what the gate refuses', () => {
  for (const [title, message, bytes, error] of ROWS) {
    it(`says of ${title}: ${message}, ${error}`, async () => {
      const lines: Line[] = []
      const warn = (fields: object, told: string): void => {
        lines.push({ fields, message: told })
      }
      const house = await openHouseForTest({ logger: { ...silentLogger, warn } })
      const stranger = await house.connect()
      await stranger.send(bytes)
      await eventually('a line', () => lines.length > 0)
      expect(lines.map((line) => [line.message, line.fields.error])).to.deep.equal([
        [message, error],
      ])
      const isKnown = message === 'connection ended'
      expect(lines[0]?.fields.client).to.equal(isKnown ? 'p' : undefined)
    })
  }
})
