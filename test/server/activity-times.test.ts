import { expect } from 'chai'
import { parseAt, parseSpan } from '../../server/activity-times.ts'

const NOW = Date.parse('2026-03-10T12:00:00Z')
const NINE = Date.parse('2026-03-01T09:00:00Z')
const MIDNIGHT = Date.parse('2026-03-01')
const DAY = 86_400_000

describe('the times that are asked for', () => {
  for (const [query, expected] of [
    ['at=2026-03-01T09:00:00Z', NINE],
    ['at=2026-03-01T10:00:00%2B01:00', NINE],
    // A plus that was not encoded.
    ['at=2026-03-01T10:00:00+01:00', NINE],
    ['at=2026-03-01T09:00Z', NINE],
    ['at=2026-03-01T09:00:00.250Z', NINE + 250],
    ['at=2026-03-01', MIDNIGHT],
    [`at=${NINE}`, NINE],
    [`at=${NOW}`, NOW],
  ] as const) {
    it(`${query} is a time`, () => {
      expect(parseAt(new URLSearchParams(query), NOW)).to.deep.equal({ ok: true, value: expected })
    })
  }

  for (const [query, error] of [
    [
      '',
      'expected a time such as 2026-03-01T09:00:00Z, 2026-03-01 or 1772355600000 (ms), got nothing',
    ],
    ['at=', /got ""$/],
    ['at=yesterday', /got "yesterday"$/],
    ['at=-1', /got "-1"$/],
    ['at=1960-01-01', /got "1960-01-01"$/],
    ['at=2026-02-30T09:00:00Z', /got "2026-02-30T09:00:00Z"$/],
    ['at=2026-03-01T25:00:00Z', /got "2026-03-01T25:00:00Z"$/],
    // Of which zone?
    ['at=2026-03-01T09:00:00', /got "2026-03-01T09:00:00"$/],
    [`at=${NOW + 1}`, 'expected a time that has been, got'],
    ['at=999999999999999', 'expected a time that has been, got'],
  ] as const) {
    it(`"${query}" is no time that has been`, () => {
      tell(parseAt(new URLSearchParams(query), NOW), 'at: ', error)
    })
  }

  for (const [query, from, to] of [
    ['day=2026-03-01', MIDNIGHT, MIDNIGHT + DAY],
    ['day=2026-03-10', Date.parse('2026-03-10'), Date.parse('2026-03-11')],
    ['day=2024-02-29', Date.parse('2024-02-29'), Date.parse('2024-03-01')],
    [`from=${NINE}&to=2026-03-02`, NINE, MIDNIGHT + DAY],
    ['from=2026-03-10&to=2026-04-01', Date.parse('2026-03-10'), Date.parse('2026-04-01')],
  ] as const) {
    it(`${query} is a span`, () => {
      const span = parseSpan(new URLSearchParams(query), NOW)
      expect(span).to.deep.equal({ ok: true, value: [from, to] })
    })
  }

  for (const [query, start, error] of [
    ['', 'expected day=2026-03-01, or from=… and to=…', ''],
    ['day=2026-02-30', 'day: ', 'expected a day such as 2026-03-01, got "2026-02-30"'],
    ['day=2026-13-01', 'day: ', 'expected a day'],
    ['day=2025-02-29', 'day: ', 'expected a day'],
    ['day=2026-3-1', 'day: ', 'expected a day'],
    ['day=', 'day: ', 'expected a day such as 2026-03-01, got ""'],
    ['day=2026-03-11', 'day: ', 'expected a time that has been, got "2026-03-11"'],
    ['day=2026-03-01&from=0', 'expected day, or from and to, got both', ''],
    ['from=2026-03-01', 'to: ', /got nothing$/],
    ['to=2026-03-01', 'from: ', /got nothing$/],
    ['from=-5&to=2026-03-01', 'from: ', /got "-5"$/],
    [
      'from=2026-03-02&to=2026-03-01',
      'to: ',
      'expected a time after "2026-03-02", got "2026-03-01"',
    ],
    ['from=2026-03-01&to=2026-03-01', 'to: ', 'expected a time after "2026-03-01"'],
    ['from=2026-03-11&to=2026-03-12', 'from: ', 'expected a time that has been'],
  ] as const) {
    it(`"${query}" is no span that has begun`, () => {
      tell(parseSpan(new URLSearchParams(query), NOW), start, error)
    })
  }
})

function tell(result: unknown, start: string, error: string | RegExp): void {
  const { ok, error: sentence } = result as { readonly ok: boolean; readonly error: string }
  expect(ok).to.equal(false)
  expect(sentence.startsWith(start)).to.equal(true, sentence)
  if (typeof error === 'string') expect(sentence).to.include(error)
  else expect(sentence).to.match(error)
}
