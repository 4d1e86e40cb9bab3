import * as v from 'valibot'
import { failure, success, type Result } from '../../protocol/result.ts'
import { checkTogether, type Checked } from './checks.ts'
import { readEnvironment, type Environment } from './environment.ts'
import { readConfigFile, type ReadFile } from './file.ts'
import { readCommand, readFlags } from './flags.ts'
import type { Given } from './given.ts'
import { KINDS } from './kinds.ts'
import { OPTIONS, type Config } from './options.ts'
import { listOptions, type Option } from './spec.ts'

/** The first is the one that is meant when none is named. */
const COMMANDS = ['server', 'broker', 'bridge'] as const

/** A command that runs something. */
export type Command = (typeof COMMANDS)[number]

/** What the program was asked to do. */
export type Invocation =
  | { readonly command: 'help' }
  | { readonly command: 'version' }
  | { readonly command: Command; readonly config: Config }

/**
 * Reads what the program was asked to do: flags before environment before file before defaults.
 *
 * @param argv the command line without node and script
 * @returns the command and its configuration, or a sentence for each mistake that names its source, a line each
 */
export function loadConfig(
  argv: readonly string[],
  environment: Environment,
  readFile: ReadFile,
): Result<Invocation> {
  const options = listOptions(OPTIONS)
  const line = readFlags(argv, options)
  if (line.help) return success({ command: 'help' })
  if (line.version) return success({ command: 'version' })
  const variables = readEnvironment(environment, options)
  const nearer = [...variables.given, ...line.given]
  const path = nearer.findLast(({ option }) => option.key === 'config')
  const file = path
    ? readConfigFile(String(path.raw), path.source, readFile, options)
    : { given: [], errors: [] }
  const checked = checkEach([...defaults(options), ...file.given, ...nearer])
  // Behind a flag that was misread its value would be taken for a command.
  const command = readCommand(line.errors.length === 0 ? line.words : [], COMMANDS)
  const mistakes = [
    ...line.errors,
    ...(command.ok ? [] : [command.error]),
    ...variables.errors,
    ...file.errors,
    ...checked.errors,
  ]
  if (!command.ok || mistakes.length > 0) return failure([...new Set(mistakes)].join('\n'))
  const together = checkTogether(command.value, checked.byKey)
  if (together.length > 0) return failure(together.join('\n'))
  return success({ command: command.value, config: nest(options, checked.byKey) })
}

function defaults(options: readonly Option[]): readonly Given[] {
  return options.flatMap((option) => {
    const raw = option.spec.default
    return raw === undefined ? [] : [{ option, source: `the default of ${option.flag}`, raw }]
  })
}

/** Checks the last value that each option was given. */
function checkEach(given: readonly Given[]): {
  readonly byKey: ReadonlyMap<string, Checked>
  readonly errors: readonly string[]
} {
  const last = new Map(given.map((entry) => [entry.option.key, entry]))
  const byKey = new Map<string, Checked>()
  const errors: string[] = []
  for (const [key, entry] of last) {
    const { spec } = entry.option
    const result = v.safeParse(KINDS[spec.kind].schema(spec), entry.raw)
    if (result.success) {
      byKey.set(key, { ...entry, value: result.output })
    } else {
      const message = result.issues[0].message
      errors.push(`${entry.source}: ${spec.secret ? hideValue(message) : message}`)
    }
  }
  return { byKey, errors }
}

function hideValue(message: string): string {
  return message.replace(/, got .*/s, ', got something else')
}

/** Gives the values the shape of the table, which is the shape of `Config`. */
function nest(options: readonly Option[], byKey: ReadonlyMap<string, Checked>): Config {
  const config: Record<string, unknown> = {}
  for (const { key } of options) {
    const names = key.split('.')
    const last = names.pop() ?? key
    let group = config
    for (const name of names) group = (group[name] ??= {}) as Record<string, unknown>
    group[last] = byKey.get(key)?.value
  }
  return config as unknown as Config
}
