import { parseArgs, type ParseArgsConfig } from 'node:util'
import { failure, show, success, type Result } from '../../protocol/result.ts'
import { didYouMean } from '../../runtime/suggest.ts'
import type { Given, Reading } from './given.ts'
import type { Option } from './spec.ts'

/** What the command line says. */
interface CommandLine extends Reading {
  /** The words that are no flags. */
  readonly words: readonly string[]
  readonly help: boolean
  readonly version: boolean
}

/** Splits a command line (without node and script) into flags and words. */
export function readFlags(argv: readonly string[], options: readonly Option[]): CommandLine {
  const byName = new Map(options.map((option) => [option.flag.slice(2), option]))
  const { tokens, positionals } = parseArgs({
    args: fillSwitches(argv, options),
    options: parserOptions(byName),
    allowPositionals: true,
    // Its own errors run to several sentences, so unknown flags are found below.
    strict: false,
    tokens: true,
  })
  const flags = tokens.filter((token) => token.kind === 'option')
  const asks = (name: string): boolean => flags.some((token) => token.name === name)
  if (asks('help') || asks('version')) {
    return { words: [], help: asks('help'), version: !asks('help'), given: [], errors: [] }
  }
  const given = new Map<Option, Given>()
  const errors: string[] = []
  for (const { name, rawName, value, inlineValue } of flags) {
    const option = byName.get(name)
    if (!option) {
      errors.push(unknownFlag(rawName, options))
      // `--host --root x` has forgotten the address, it does not name a host.
    } else if (value === undefined || (!inlineValue && /^-\D/.test(value))) {
      errors.push(`${option.flag} needs a value, got ${value ?? 'nothing'}`)
    } else {
      given.set(option, { option, source: option.flag, raw: withEarlier(given.get(option), value) })
    }
  }
  return {
    words: positionals,
    help: false,
    version: false,
    given: [...given.values()],
    errors,
  }
}

/** A flag that needs no value gets one: `--allow-anonymous` is `--allow-anonymous=yes`. */
function fillSwitches(argv: readonly string[], options: readonly Option[]): string[] {
  const switches = new Set(
    options.filter(({ spec }) => spec.kind === 'switch').map(({ flag }) => flag),
  )
  return argv.map((word, at) =>
    switches.has(word) && !/^(yes|no|true|false)$/.test(argv[at + 1] ?? '') ? `${word}=yes` : word,
  )
}

function parserOptions(
  byName: ReadonlyMap<string, Option>,
): NonNullable<ParseArgsConfig['options']> {
  const flags = [...byName.keys()].map((name) => [name, { type: 'string' }] as const)
  return {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
    ...Object.fromEntries(flags),
  }
}

/** Room graces add up; of any other flag the last one counts, so that a script's can be overridden. */
function withEarlier(earlier: Given | undefined, value: string): unknown {
  if (earlier === undefined || earlier.option.spec.kind !== 'roomGrace') return value
  return [earlier.raw, value].flat()
}

function unknownFlag(flag: string, options: readonly Option[]): string {
  const names = ['--help', '--version', ...options.map((option) => option.flag)]
  const hint = didYouMean(flag, names) || '; see presence-bridge --help'
  return `unknown option ${flag}${hint}`
}

/** The command among the words, of which there may be one. */
export function readCommand<Name extends string>(
  words: readonly string[],
  commands: readonly [Name, ...Name[]],
): Result<Name> {
  const [word, extra] = words
  if (word === undefined) return success(commands[0])
  const command = commands.find((name) => name === word)
  if (command === undefined) {
    return failure(
      `expected the command ${commands.join(', ')} or none, got ${show(word)}${didYouMean(word, commands)}`,
    )
  }
  return extra === undefined
    ? success(command)
    : failure(`expected nothing but options after ${word}, got ${show(extra)}`)
}
