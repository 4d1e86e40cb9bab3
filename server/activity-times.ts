import { failure, show, success, type Result } from '../protocol/result.ts'

const DAY_MS = 86_400_000

const TIME = 'a time such as 2026-03-01T09:00:00Z, 2026-03-01 or 1772355600000 (ms)'

/** Which time is asked for, in milliseconds since the epoch: one that has been. */
export function parseAt(query: URLSearchParams, now: number): Result<number> {
  const text = valueOf(query, 'at')
  const at = parseMoment('at', text)
  return !at.ok || at.value <= now ? at : isToCome('at', text)
}

/** From when to when is asked, in milliseconds since the epoch: a day of UTC, or a span that has begun. */
export function parseSpan(
  query: URLSearchParams,
  now: number,
): Result<readonly [from: number, to: number]> {
  const day = valueOf(query, 'day')
  const begin = valueOf(query, 'from')
  const end = valueOf(query, 'to')
  if (day === undefined) return parseFromTo(begin, end, now)
  if (begin !== undefined || end !== undefined) {
    return failure('expected day, or from and to, got both')
  }
  const from = parseDay(day)
  if (from === undefined) return failure(`day: expected a day such as 2026-03-01, got ${show(day)}`)
  return from <= now ? success([from, from + DAY_MS]) : isToCome('day', day)
}

function parseFromTo(
  begin: string | undefined,
  end: string | undefined,
  now: number,
): Result<readonly [number, number]> {
  if (begin === undefined && end === undefined) {
    return failure('expected day=2026-03-01, or from=… and to=…, got neither')
  }
  const from = parseMoment('from', begin)
  if (!from.ok) return from
  const to = parseMoment('to', end)
  if (!to.ok) return to
  if (from.value >= to.value) {
    return failure(`to: expected a time after ${show(begin)}, got ${show(end)}`)
  }
  return from.value <= now ? success([from.value, to.value]) : isToCome('from', begin)
}

function valueOf(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) ?? undefined
}

function isToCome(name: string, text: unknown): Result<never> {
  return failure(`${name}: expected a time that has been, got ${show(text)}`)
}

function parseMoment(name: string, text: string | undefined): Result<number> {
  // A plus in a query is a space.
  const time = text === undefined ? undefined : readTime(text.replace(' ', '+'))
  return time === undefined || time < 0
    ? failure(`${name}: expected ${TIME}, got ${show(text)}`)
    : success(time)
}

function readTime(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  const [day = '', clock] = text.split('T')
  const from = parseDay(day)
  if (from === undefined || clock === undefined) return from
  if (!/^\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(clock)) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}

/** Midnight in UTC; undefined for what no calendar has, of which `Date.parse` makes another day. */
function parseDay(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined
  const time = Date.parse(text)
  const isReal = !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
  return isReal && time >= 0 ? time : undefined
}
