import { expect } from 'chai'
import fc from 'fast-check'
import { formatDuration, formatTime, parseDuration, parseTime } from '../../protocol/index.ts'

const GOOD: readonly (readonly [unknown, number])[] = [
  ['250ms', 250],
  ['5s', 5000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
  ['0', 0],
  ['0.0', 0],
  [' 5s ', 5000],
  ['0.0004s', 0],
  ['0.0006s', 1],
  [0, 0],
  [1500, 1500],
  [1.6, 2],
]

const BAD: readonly (readonly [unknown, string])[] = [
  ['5', '"5" without a unit'],
  ['', '""'],
  ['s', '"s"'],
  ['-5s', '"-5s"'],
  ['5 s', '"5 s"'],
  ['5S', '"5S"'],
  ['5s5s', '"5s5s"'],
  ['1e3s', '"1e3s"'],
  ['5constructor', '"5constructor"'],
  ['9999999999999999s', '"9999999999999999s"'],
  [-1, '-1'],
  [Number.NaN, 'null'],
  [Infinity, 'null'],
  [undefined, 'nothing'],
  [null, 'null'],
  [{ s: 5 }, '{"s":5}'],
]

describe('a duration', () => {
  for (const [text, ms] of GOOD) {
    it(`${JSON.stringify(text)} is ${ms} ms`, () => {
      expect(parseDuration(text)).to.deep.equal({ ok: true, value: ms })
    })
  }

  for (const [text, got] of BAD) {
    it(`is not ${String(text)}: got ${got}`, () => {
      const error = `expected a duration such as 250ms, 5s, 2m, 1h or 7d, got ${got}`
      expect(parseDuration(text)).to.deep.equal({ ok: false, error })
    })
  }

  it('is written in the largest unit that divides it, and read again', () => {
    expect([0, 1, 1000, 90_000, 120_000, 3_600_000, 86_400_000].map(formatDuration)).to.deep.equal([
      '0s',
      '1ms',
      '1s',
      '90s',
      '2m',
      '1h',
      '1d',
    ])
    fc.assert(
      fc.property(fc.nat(), (ms) => {
        expect(parseDuration(formatDuration(ms))).to.deep.equal({ ok: true, value: ms })
      }),
    )
  })
})

describe('a time', () => {
  it('is written as ISO 8601 in UTC with milliseconds, and read again', () => {
    expect(formatTime(1_767_225_600_001)).to.equal('2026-01-01T00:00:00.001Z')
    fc.assert(
      fc.property(fc.nat(4_000_000_000_000), (ms) => {
        expect(parseTime(formatTime(ms))).to.equal(ms)
      }),
    )
  })

  it('that is none is NaN', () => expect(parseTime('noon')).to.deep.equal(Number.NaN))
})
