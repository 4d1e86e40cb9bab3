import { failure, success, type Result } from './result.ts'

/** Anything that JSON can carry. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json }

/**
 * Parses JSON whose nesting is bounded before it is parsed, so that no later recursive walk
 * (JSON.stringify, comparison) can overflow the stack.
 *
 * @param maxDepth the deepest nesting of arrays and objects that is accepted
 */
export function parseJson(text: string, maxDepth: number): Result<Json> {
  if (nestingExceeds(text, maxDepth)) {
    return failure(`expected at most ${maxDepth} levels of nesting, got more`)
  }
  try {
    return success(JSON.parse(text) as Json)
  } catch {
    return failure('expected JSON, got something else')
  }
}

function nestingExceeds(text: string, maxDepth: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === 92 /* \ */) i++
      else if (code === 34 /* " */) inString = false
    } else if (code === 34) {
      inString = true
    } else if (code === 123 /* { */ || code === 91 /* [ */) {
      if (++depth > maxDepth) return true
    } else if (code === 125 /* } */ || code === 93 /* ] */) {
      depth--
    }
  }
  return false
}

/** Whether a parsed value is a JSON object (not an array, not null). */
export function isJsonObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Structural equality of two JSON values; the order of an object's keys does not matter. */
export function jsonEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    return (
      Array.isArray(b) && a.length === b.length && a.every((item: Json, i) => jsonEqual(item, b[i]))
    )
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && jsonEqual(a[key], b[key]))
  )
}
