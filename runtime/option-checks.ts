/** Checks one option, given its name; throws a sentence that says what was expected and what came. */
export type OptionCheck = (name: string, value: unknown) => void

/** A check for each option that there is. */
export type OptionChecks<Options> = { readonly [Name in keyof Required<Options>]: OptionCheck }

/**
 * Checks options as they come from JavaScript, where no compiler has looked: each is known and of its type.
 *
 * @param whose the function that they are for
 * @returns the same without those that are given as undefined, which have their defaults
 * @throws TypeError for another type, RangeError for a value that may not be, or an option that there is not
 */
export function checkOptions<Options extends object>(
  whose: string,
  options: Options,
  checks: OptionChecks<Options>,
  required: readonly string[] = [],
): Options {
  if (!isObject(options)) throw new TypeError(sentence(whose, 'an object of options', options))
  checkEach(whose, '', options, checks, required)
  return definedOf(options)
}

/** An object without what is given as undefined. */
export function definedOf<Given extends object>(given: Given): Given {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as Given
}

/** Anything, which is checked elsewhere. */
export const anything: OptionCheck = () => {}

export const flag: OptionCheck = kindOf('true or false', (value) => typeof value === 'boolean')

export const callback: OptionCheck = kindOf('a function', (value) => typeof value === 'function')

/** A number whose bounds are checked elsewhere. */
export const anyNumber: OptionCheck = kindOf('a number', (value) => typeof value === 'number')

/** A text that fits, in the words of the sentence. */
export function text(
  expected = 'text',
  isFine: (value: string) => boolean = (value) => value !== '',
): OptionCheck {
  return kindOf(
    expected,
    (value) => typeof value === 'string',
    (value) => isFine(value as string),
  )
}

/** A number within bounds, fractions included. */
export function numberFrom(min: number, max: number): OptionCheck {
  return kindOf(
    `a number from ${min} to ${max}`,
    (value) => typeof value === 'number',
    (value) => isWithin(value, min, max),
  )
}

/** A whole number within bounds. */
export function wholeFrom(min: number, max: number = Number.MAX_SAFE_INTEGER): OptionCheck {
  const bounds = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
  return kindOf(
    `a whole number ${bounds}`,
    (value) => typeof value === 'number',
    (value) => Number.isSafeInteger(value) && isWithin(value, min, max),
  )
}

/** A port, with 0 for any free one; or something else that stands for none. */
export function port(none?: false): OptionCheck {
  const expected = `a port from 0 to 65535${none === undefined ? '' : ', or false'}`
  return kindOf(
    expected,
    (value) => typeof value === 'number' || (none !== undefined && value === none),
    (value) => value === none || (Number.isInteger(value) && isWithin(value, 0, 65_535)),
  )
}

/** One of these words, or what another check takes. */
export function wordOr(words: readonly string[], check: OptionCheck): OptionCheck {
  return (name, value) => {
    if (typeof value !== 'string') check(name, value)
    else if (!words.includes(value)) {
      throw new RangeError(sentence(name, `${words.join(', ')} or a list`, value))
    }
  }
}

export function listOf(check: OptionCheck): OptionCheck {
  const isList = kindOf('a list', Array.isArray)
  return (name, value) => {
    isList(name, value)
    for (const [i, item] of (value as readonly unknown[]).entries()) check(`${name}[${i}]`, item)
  }
}

/** An object that can do something: with these functions, and with whatever else. */
export function partWith(...names: readonly string[]): OptionCheck {
  const all = names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0]
  return kindOf(`an object with ${all}`, (value) => {
    const part = isObject(value) ? (value as Record<string, unknown>) : {}
    return names.every((name) => typeof part[name] === 'function')
  })
}

/** An object with values for all these names, and with whatever else. */
export function objectWith(checks: Readonly<Record<string, OptionCheck>>): OptionCheck {
  const check = kindOf('an object', isObject)
  return (name, value) => {
    check(name, value)
    const part = value as Record<string, unknown>
    for (const [key, checkOne] of Object.entries(checks)) checkOne(`${name}.${key}`, part[key])
  }
}

/** An object with values for some of these names, or for all that are required, and with no others. */
export function recordOf(
  checks: Readonly<Record<string, OptionCheck>>,
  required: readonly string[] = [],
): OptionCheck {
  const check = kindOf('an object', isObject)
  return (name, value) => {
    check(name, value)
    checkEach(name, `${name}.`, value as object, checks, required)
  }
}

function checkEach(
  whose: string,
  prefix: string,
  given: object,
  checks: Readonly<Record<string, OptionCheck>>,
  required: readonly string[],
): void {
  const values = new Map<string, unknown>(Object.entries(given))
  for (const key of values.keys()) {
    if (Object.hasOwn(checks, key)) continue
    throw new RangeError(sentence(whose, `one of ${Object.keys(checks).join(', ')}`, key))
  }
  for (const [key, check] of Object.entries(checks)) {
    const value = values.get(key)
    if (value !== undefined || required.includes(key)) check(`${prefix}${key}`, value)
  }
}

/** A check of the type, and of what else is expected. */
function kindOf(
  expected: string,
  isKind: (value: unknown) => boolean,
  isFine: (value: unknown) => boolean = () => true,
): OptionCheck {
  return (name, value) => {
    if (!isKind(value)) throw new TypeError(sentence(name, expected, value))
    if (!isFine(value)) throw new RangeError(sentence(name, expected, value))
  }
}

function sentence(name: string, expected: string, value: unknown): string {
  return `${name}: expected ${expected}, got ${show(value)}`
}

/** Not as JSON: what stands in the place of an option may be anything, and large. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string') {
    const written = JSON.stringify(value)
    return written.length > 60 ? `${written.slice(0, 57)}…` : written
  }
  const isPlain = typeof value === 'number' || typeof value === 'boolean'
  return isPlain ? String(value) : `a ${typeof value}`
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return (value as number) >= min && (value as number) <= max
}
