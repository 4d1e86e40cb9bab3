import { expect } from 'chai'
import { readMessage } from '../../bridge/intake.ts'
import { DEFAULT_DOCUMENT_LIMITS } from '../../protocol/index.ts'

const limits = { ...DEFAULT_DOCUMENT_LIMITS, maxDocumentSize: 100 }

function read(document: object, size: number): string {
  const text = JSON.stringify(document)
  const payload = Buffer.from(text + ' '.repeat(size - Buffer.byteLength(text)))
  const topic = 'presence/connections/ann/tab'
  const incoming = readMessage('presence', { topic, payload, retain: false }, limits)
  return incoming.kind === 'invalid' ? incoming.error : incoming.kind
}

describe('the size of what a bridge takes', () => {
  const said = { status: 'online', data: '한국' }
  const stamped = { ...said, broker: 'b1', stamp: 1 }
  const rows: readonly (readonly [string, object, size: number, string])[] = [
    ['what a client says, as long as may be', said, 100, 'document'],
    ['a byte more than a client may say', said, 101, 'expected at most 100 bytes, got 101 bytes'],
    ['what a broker has let through and stamped', stamped, 4296, 'document'],
    ['more than can come of that', stamped, 4297, 'expected at most 100 bytes, got 4297 bytes'],
  ]
  for (const [title, document, size, outcome] of rows) {
    it(`${title}: ${outcome}`, () => expect(read(document, size)).to.equal(outcome))
  }
})
