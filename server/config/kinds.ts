import * as v from 'valibot'
import type { RoomGrace } from '../../bridge/index.ts'
import { formatDuration, parseDuration } from '../../protocol/duration.ts'
import { failure, show, success, type Result } from '../../protocol/result.ts'
import { isValidId, parseRoot } from '../../protocol/topics.ts'
import { parseNetwork } from '../../broker/transport/trusted-proxies.ts'
import { didYouMean, either } from '../../runtime/suggest.ts'
import { parseRoomGraces } from './room-grace.ts'
import { formatSize, parseSize } from './size.ts'
import type { Bounds } from './spec.ts'
import { parseUrl } from './url.ts'

/** What the values of each kind are once they are read. */
export interface KindValues {
  /** Networks of addresses. */
  readonly addresses: readonly string[]
  /** Everything, nothing, or what matches one of these filters. */
  readonly appTopics: 'allow' | 'deny' | readonly string[]
  readonly choice: string
  readonly count: number
  /** In milliseconds. */
  readonly duration: number
  readonly host: string
  readonly id: string
  readonly list: readonly string[]
  readonly path: string
  readonly port: number
  readonly roomGrace: readonly RoomGrace[]
  /** In bytes. */
  readonly size: number
  /** A flag that needs no value. */
  readonly switch: boolean
  readonly text: string
  readonly topic: string
  readonly url: string
}

/** The name of a kind of values. */
export type KindName = keyof KindValues

/** How values of one kind are read, from a flag, a variable or a file alike. */
interface Kind<Value> {
  /** Stands for the value in `--help`. */
  readonly placeholder: string
  /** Its issues read `expected …, got …`. */
  schema(bounds: Bounds): v.GenericSchema<unknown, Value>
}

/** Every kind of values that an option can have. */
export const KINDS: { readonly [Name in KindName]: Kind<KindValues[Name]> } = {
  addresses: {
    placeholder: 'networks',
    schema: () =>
      readWith((value) => {
        const list = readList(value)
        if (!list.ok) return list
        const wrong = list.value.map(parseNetwork).find(({ ok }) => !ok)
        return wrong?.ok === false ? wrong : list
      }),
  },
  appTopics: {
    placeholder: 'filters',
    schema: () =>
      readWith<KindValues['appTopics']>((value) =>
        value === 'allow' || value === 'deny' ? success(value) : readList(value),
      ),
  },
  choice: {
    placeholder: 'name',
    schema: ({ choices = [] }) =>
      v.picklist(
        choices,
        ({ input }) =>
          `expected ${either(choices)}, got ${show(input)}${didYouMean(String(input), choices)}`,
      ),
  },
  count: { placeholder: 'number', schema: wholeNumber('a whole number') },
  duration: {
    placeholder: 'duration',
    schema: (bounds) => within(readWith(readDuration), parseDuration, formatDuration, bounds),
  },
  host: {
    placeholder: 'address',
    schema: () => matching(/^[\w.:-]+(?:%\w+)?$/, 'an address or a host name such as 127.0.0.1'),
  },
  id: {
    placeholder: 'name',
    schema: () => {
      const what = 'a name of 1 to 256 characters'
      return v.pipe(
        text(what),
        v.check(isValidId, ({ input }) => `expected ${what}, got ${show(input)}`),
      )
    },
  },
  list: { placeholder: 'patterns', schema: () => readWith(readList) },
  path: { placeholder: 'file', schema: () => text('the path of a file') },
  port: {
    placeholder: 'port',
    schema: (bounds) => wholeNumber('a port')({ min: '0', max: '65535', ...bounds }),
  },
  roomGrace: {
    placeholder: 'pattern:graces',
    schema: ({ max }) => readWith((value) => readRoomGraces(value, max)),
  },
  size: {
    placeholder: 'size',
    schema: (bounds) => within(readWith(parseSize), parseSize, formatSize, bounds),
  },
  switch: { placeholder: 'yes', schema: () => readWith(readSwitch) },
  text: { placeholder: 'text', schema: () => text('text') },
  topic: {
    placeholder: 'topic',
    schema: () => readWith((value) => parseRoot(typeof value === 'string' ? value : '')),
  },
  url: {
    placeholder: 'url',
    schema: ({ schemes = [] }) => readWith((value) => parseUrl(value, schemes)),
  },
}

function readWith<Value>(read: (value: unknown) => Result<Value>): v.GenericSchema<unknown, Value> {
  return v.pipe(
    v.unknown(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const result = read(dataset.value)
      if (result.ok) return result.value
      addIssue({ message: result.error })
      return NEVER
    }),
  )
}

function within(
  schema: v.GenericSchema<unknown, number>,
  parse: (text: string) => Result<number>,
  format: (value: number) => string,
  { min, max }: Bounds,
): v.GenericSchema<unknown, number> {
  return v.pipe(
    schema,
    v.minValue(
      bound(parse, min, 0),
      ({ input }) => `expected at least ${min}, got ${format(input)}`,
    ),
    v.maxValue(
      bound(parse, max, Infinity),
      ({ input }) => `expected at most ${max}, got ${format(input)}`,
    ),
  )
}

function bound(
  parse: (text: string) => Result<number>,
  written: string | undefined,
  otherwise: number,
): number {
  const result = written === undefined ? success(otherwise) : parse(written)
  if (!result.ok) throw new Error(`option table: ${result.error}`)
  return result.value
}

function text(what: string): v.GenericSchema<unknown, string> {
  return v.pipe(
    v.unknown(),
    v.string(({ input }) => `expected ${what}, got ${show(input)}`),
    v.nonEmpty(({ input }) => `expected ${what}, got ${show(input)}`),
  )
}

function matching(pattern: RegExp, what: string): v.GenericSchema<unknown, string> {
  return v.pipe(
    text(what),
    v.regex(pattern, ({ input }) => `expected ${what}, got ${show(input)}`),
  )
}

function wholeNumber(what: string): (bounds: Bounds) => v.GenericSchema<unknown, number> {
  return ({ min = '0', max }) => {
    const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`
    return readWith((value) => {
      const digits = typeof value === 'number' ? String(value) : value
      const number =
        typeof digits === 'string' && /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN
      return number >= Number(min) && number <= Number(max ?? Infinity)
        ? success(number)
        : failure(`expected ${what} ${range}, got ${show(value)}`)
    })
  }
}

// A bare number would be milliseconds, which nobody means who writes `"closed": 5` into a file.
function readDuration(value: unknown): Result<number> {
  return parseDuration(typeof value === 'number' ? String(value) : value)
}

/** `a,b` or, in a file, `["a","b"]`. */
function readList(value: unknown): Result<readonly string[]> {
  const items: unknown = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(items) || items.some((item) => typeof item !== 'string')) {
    return failure(`expected names with commas between them, got ${show(value)}`)
  }
  return success(items.map((item: string) => item.trim()).filter((item) => item !== ''))
}

function readSwitch(value: unknown): Result<boolean> {
  const word = typeof value === 'string' ? value.toLowerCase() : value
  if ([true, 1, 'yes', 'true', 'on', '1'].some((one) => one === word)) return success(true)
  if ([false, 0, 'no', 'false', 'off', '0'].some((one) => one === word)) return success(false)
  return failure(`expected yes or no, got ${show(value)}`)
}

function readRoomGraces(value: unknown, max: string | undefined): Result<readonly RoomGrace[]> {
  const graces = parseRoomGraces(value)
  if (!graces.ok) return graces
  const most = bound(parseDuration, max, Infinity)
  for (const { pattern, grace } of graces.value) {
    for (const [cause, ms] of Object.entries(grace)) {
      if (ms > most)
        return failure(`${pattern}: ${cause}: expected at most ${max}, got ${formatDuration(ms)}`)
    }
  }
  return graces
}
