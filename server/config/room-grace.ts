import type { RoomGrace } from '../../bridge/index.ts'
import { isCause, type Cause } from '../../protocol/causes.ts'
import { parseDuration } from '../../protocol/duration.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { failure, show, success, type Result } from '../../protocol/result.ts'

const EXPECTED = 'a pattern and its graces such as doc-*:closed=30s,unload=5s'

/**
 * Reads graces by room pattern: `doc-*:closed=30s,unload=5s`, several of them in a list or with `;`
 * between, or the object that a file has: `{"doc-*":{"closed":"30s"}}`.
 */
export function parseRoomGraces(value: unknown): Result<readonly RoomGrace[]> {
  if (isJsonObject(value)) return collect(Object.entries(value), readObject)
  const lines = Array.isArray(value) ? value : [value]
  if (!lines.every((line) => typeof line === 'string')) {
    return failure(`expected ${EXPECTED}, got ${show(value)}`)
  }
  const entries = lines.flatMap((line) => line.split(';')).map((entry) => entry.trim())
  return collect(
    entries.filter((entry) => entry !== ''),
    readLine,
  )
}

/** One `pattern:cause=duration,…`. The last colon ends the pattern, so that it may have some itself. */
function readLine(line: string): Result<RoomGrace> {
  const colon = line.lastIndexOf(':')
  if (colon < 1) return failure(`expected ${EXPECTED}, got ${show(line)}`)
  const pairs = line
    .slice(colon + 1)
    .split(',')
    .map((pair) => pair.split('=').map((side) => side.trim()))
  const bad = pairs.some((pair) => pair.length !== 2)
  if (bad) return failure(`expected ${EXPECTED}, got ${show(line)}`)
  return readGraces(
    line.slice(0, colon).trim(),
    pairs.map(([cause = '', duration]) => [cause, duration]),
  )
}

function readObject([pattern, graces]: [string, unknown]): Result<RoomGrace> {
  return isJsonObject(graces)
    ? readGraces(pattern, Object.entries(graces))
    : failure(`${pattern}: expected an object of cause: duration, got ${show(graces)}`)
}

function readGraces(
  pattern: string,
  pairs: readonly (readonly [string, unknown])[],
): Result<RoomGrace> {
  const grace: Partial<Record<Cause, number>> = {}
  if (pattern === '') return failure(`expected ${EXPECTED}, got an empty pattern`)
  for (const [cause, text] of pairs) {
    if (!isCause(cause))
      return failure(`${pattern}: expected a cause such as closed, got ${show(cause)}`)
    // A bare number would be milliseconds, which nobody means who writes 30.
    const duration = parseDuration(typeof text === 'number' ? String(text) : text)
    if (!duration.ok) return failure(`${pattern}: ${cause}: ${duration.error}`)
    grace[cause] = duration.value
  }
  return success({ pattern, grace })
}

function collect<T>(
  entries: readonly T[],
  read: (entry: T) => Result<RoomGrace>,
): Result<readonly RoomGrace[]> {
  const graces: RoomGrace[] = []
  for (const entry of entries) {
    const grace = read(entry)
    if (!grace.ok) return grace
    graces.push(grace.value)
  }
  return success(graces)
}
