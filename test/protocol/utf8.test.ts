import { expect } from 'chai'
import fc from 'fast-check'
import { isLonger, utf8Length } from '../../protocol/utf8.ts'

describe('the length of a text in UTF-8', () => {
  for (const [text, bytes] of [
    ['', 0],
    ['a', 1],
    ['\u007f\u0080', 3],
    ['\u07ff\u0800', 5],
    ['한국', 6],
    ['🙂', 4],
    ['\ud83d', 3],
    ['\ud83da\ude42', 7],
    ['\ude42\ud83d', 6],
  ] as const) {
    it(`of ${JSON.stringify(text)} is ${bytes}`, () => expect(utf8Length(text)).to.equal(bytes))
  }

  it('is what an encoder makes of it, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => {
        const text = String.fromCharCode(...units)
        const bytes = new TextEncoder().encode(text).length
        expect(utf8Length(text)).to.equal(bytes)
        expect(isLonger(text, bytes)).to.equal(false)
        if (bytes > 0) expect(isLonger(text, bytes - 1)).to.equal(true)
      }),
    )
  })
})
