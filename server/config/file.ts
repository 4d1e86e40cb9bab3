import { isJsonObject, parseJson, type Json } from '../../protocol/json.ts'
import { show } from '../../protocol/result.ts'
import { didYouMean } from '../../runtime/suggest.ts'
import type { Given, Reading } from './given.ts'
import type { Option } from './spec.ts'

/** Gives the text of a file, or throws what node:fs throws. */
export type ReadFile = (path: string) => string

const MAX_DEPTH = 16

/** Reads the options in a JSON file, where they are nested: `{"grace":{"closed":"5s"}}`. */
export function readConfigFile(
  path: string,
  source: string,
  readFile: ReadFile,
  options: readonly Option[],
): Reading {
  let text: string
  try {
    text = readFile(path)
  } catch (error) {
    return nothing(
      `${source}: expected a file that can be read, got ${show(path)} (${code(error)})`,
    )
  }
  const json = parseJson(text, MAX_DEPTH)
  if (!json.ok) return nothing(`${path}: ${json.error}`)
  if (!isJsonObject(json.value))
    return nothing(`${path}: expected an object, got ${show(json.value)}`)
  const inFile = options.filter(({ spec }) => spec.notInFile !== true)
  return readGroup(json.value, '', path, new Map(inFile.map((option) => [option.key, option])))
}

function nothing(error: string): Reading {
  return { given: [], errors: [error] }
}

function readGroup(
  group: { readonly [key: string]: Json },
  parent: string,
  path: string,
  byKey: ReadonlyMap<string, Option>,
): Reading {
  const given: Given[] = []
  const errors: string[] = []
  for (const [name, raw] of Object.entries(group)) {
    const key = parent + name
    const option = byKey.get(key)
    if (option) {
      given.push({ option, source: `${key} in ${path}`, raw })
      continue
    }
    const keys = [...byKey.keys()]
    if (!keys.some((known) => known.startsWith(`${key}.`))) {
      errors.push(`unknown option ${key} in ${path}${didYouMean(key, keys)}`)
    } else if (isJsonObject(raw)) {
      const nested = readGroup(raw, `${key}.`, path, byKey)
      given.push(...nested.given)
      errors.push(...nested.errors)
    } else {
      errors.push(`${key} in ${path}: expected an object, got ${show(raw)}`)
    }
  }
  return { given, errors }
}

function code(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}
