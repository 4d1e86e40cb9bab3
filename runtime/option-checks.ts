import * as v from 'valibot'
import { didYouMean } from './suggest.ts'

/** What is checked may be anything; what is right is of the option's type. */
export type Schema<Value> = v.GenericSchema<unknown, Value>

/** A schema for each option that there is, and of its type. */
type SchemasOf<Options> = {
  readonly [Name in keyof Options]-?: Schema<Options[Name]>
}

/** The most of a value that a sentence repeats. */
const MAX_SHOWN = 60

/**
 * Checks options as they come from JavaScript, where no compiler has looked: each is known and of its type.
 *
 * @param whose the function that they are for
 * @returns the same without those that are given as undefined, which have their defaults
 * @throws TypeError for another type, RangeError for a value that may not be, or an option that there is not
 */
export function checkOptions<Options extends object>(
  whose: string,
  given: Options,
  schema: Schema<Options>,
): Options {
  const { issues } = v.safeParse(schema, given)
  if (!issues) return definedOf(given)
  // Where a required option is missing, this is what it was misspelt as.
  const issue = issues.find(isUnknownName) ?? issues[0]
  const problem = `${placeOf(issue) || whose}: ${issue.message}`
  const isOfType = issue.kind === 'validation' || isUnknownName(issue)
  throw isOfType ? new RangeError(problem) : new TypeError(problem)
}

/** An object without what is given as undefined. */
export function definedOf<Given extends object>(given: Given): Given {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as Given
}

/** A schema with words for what it takes; parts of it may have their own. */
export function expected<Value>(what: string, schema: Schema<Value>): Schema<Value> {
  return v.message(schema, (issue) => expectedAndGot(what, issue))
}

/** NaN is a number that is out of all bounds. */
export const NUMBER: Schema<number> = v.custom<number>((value) => typeof value === 'number')

export const TEXT: Schema<string> = v.pipe(v.string(), v.notValue(''))

/** A whole number within bounds. */
export function wholeFrom(min: number, max?: number): Schema<number> {
  return expected(
    `a whole number from ${min}${max === undefined ? '' : ` to ${max}`}`,
    v.pipe(NUMBER, v.safeInteger(), v.minValue(min), v.maxValue(max ?? Infinity)),
  )
}

/** An object that can do something: with these functions, and with whatever else. */
export function partWith<Part extends object>(
  ...names: readonly (keyof Part & string)[]
): Schema<Part> {
  const all = names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0]
  const isPart = (value: unknown): boolean =>
    isObject(value) && names.every((name) => typeof (value as Part)[name] === 'function')
  return expected(`an object with ${all}`, v.custom<Part>(isPart))
}

/** An object with values for all these names, and with whatever else. */
export function objectWith<Part extends object>(schemas: Partial<SchemasOf<Part>>): Schema<Part> {
  const entries = schemas as v.ObjectEntries
  return filled(Object.keys(entries), v.looseObject(entries))
}

/** An object with values for some of these names, or for all that are required, and with no others. */
export function objectOf<Part extends object>(
  schemas: SchemasOf<Part>,
  ...required: readonly (keyof Part & string)[]
): Schema<Part> {
  const names = Object.keys(schemas)
  const entries = Object.entries<v.GenericSchema>(schemas).map(([name, schema]) => [
    name,
    (required as readonly string[]).includes(name) ? schema : v.optional(schema),
  ])
  const options = v.strictObject(Object.fromEntries(entries) as v.ObjectEntries, (issue) => {
    const hint = didYouMean(String(issue.input), names)
    return `${expectedAndGot(`one of ${names.join(', ')}`, issue)}${hint}`
  })
  return filled(required, options)
}

/** What is missing is checked as undefined, so that its own schema says what it should have been. */
function filled<Part extends object>(
  required: readonly string[],
  schema: Schema<object>,
): Schema<Part> {
  const missing = Object.fromEntries(required.map((name) => [name, undefined]))
  const fill = v.transform((given: object): unknown => ({ ...missing, ...given }))
  return expected('an object', v.pipe(v.custom<object>(isObject), fill, schema)) as Schema<Part>
}

function expectedAndGot(what: string, { received }: v.BaseIssue<unknown>): string {
  const shown = received.length > MAX_SHOWN ? `${received.slice(0, MAX_SHOWN - 1)}…` : received
  return `expected ${what}, got ${shown}`
}

function isUnknownName(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === 'strict_object'
}

/** `roomGrace[0].pattern`; of an unknown name the object that it is in. */
function placeOf(issue: v.BaseIssue<unknown>): string {
  const keys = (issue.path ?? []).map(({ key }) => key)
  if (isUnknownName(issue)) keys.pop()
  const place = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
  return place.join('').slice(1)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
