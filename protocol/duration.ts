import { failure, show, success, type Result } from './result.ts'

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * Parses a duration as people write it, to milliseconds: `250ms`, `5s`, `1.5m`, `2h`, `7d`, or a plain
 * number of milliseconds; `0` needs no unit.
 */
export function parseDuration(value: unknown): Result<number> {
  const expected = 'a duration such as 250ms, 5s, 2m, 1h or 7d'
  if (typeof value === 'number') {
    return Number.isFinite(value) && value >= 0
      ? success(Math.round(value))
      : failure(`expected ${expected}, got ${show(value)}`)
  }
  const match =
    typeof value === 'string' ? /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)?$/.exec(value.trim()) : null
  if (!match) return failure(`expected ${expected}, got ${show(value)}`)
  const [, digits = '', unit] = match
  const amount = Number(digits)
  if (unit === undefined && amount !== 0) {
    return failure(`expected ${expected}, got ${show(value)} without a unit`)
  }
  return success(Math.round(amount * (UNITS[unit ?? 'ms'] ?? 1)))
}

/** Writes milliseconds as people write durations, in the largest unit that divides it: 90000 is `90s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = UNITS[unit] ?? 1
    if (ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}
