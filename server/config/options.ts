import { ACCESS_OPTIONS } from './access-options.ts'
import { DEPLOYMENT_OPTIONS } from './deployment-options.ts'
import { LIMIT_OPTIONS } from './limit-options.ts'
import { NETWORK_OPTIONS } from './network-options.ts'
import { PRESENCE_OPTIONS } from './presence-options.ts'
import type { ValuesOf } from './spec.ts'

const SOURCE_OPTIONS = {
  config: {
    heading: 'Where the options come from',
    kind: 'path',
    about: 'A JSON file with options.',
    notInFile: true,
  },
} as const

const LOGGING_OPTIONS = {
  logLevel: {
    heading: 'Logging',
    kind: 'choice',
    about: 'What is logged, on standard error: this level and all graver ones.',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
  },
} as const

/**
 * Every option of the program, in the shape of the configuration file and in the order of `--help`. To add
 * an option, add it to the table of its topic: spec.ts says what an entry may hold, kinds.ts which kinds of
 * values there are.
 */
export const OPTIONS: Options = {
  ...SOURCE_OPTIONS,
  ...NETWORK_OPTIONS,
  ...ACCESS_OPTIONS,
  ...PRESENCE_OPTIONS,
  ...LIMIT_OPTIONS,
  ...DEPLOYMENT_OPTIONS,
  ...LOGGING_OPTIONS,
}

type Options = typeof SOURCE_OPTIONS &
  typeof NETWORK_OPTIONS &
  typeof ACCESS_OPTIONS &
  typeof PRESENCE_OPTIONS &
  typeof LIMIT_OPTIONS &
  typeof DEPLOYMENT_OPTIONS &
  typeof LOGGING_OPTIONS

/** The configuration of the program: the value of every option, durations in milliseconds, sizes in bytes. */
export type Config = ValuesOf<Options>
