import { parseArgs } from 'node:util'
import { FAULTS } from './history.ts'

/** What is started: how many processes, and who talks to whom. */
const TOPOLOGIES = ['single', 'bridges', 'cluster'] as const
export type Topology = (typeof TOPOLOGIES)[number]

/** What a run is made of; the same options give the same plan. */
export interface ChaosOptions {
  readonly topology: Topology
  readonly seed: number
  /** How long things are done and broken; the run takes longer, since in the end all has to settle. */
  readonly seconds: number
  /** Acts of users, a second. */
  readonly rate: number
  readonly users: number
  /** Processes of clients. */
  readonly workers: number
  /** Faults of the program's side in one burst. */
  readonly burst: number
  /** How long nothing of ours is broken between two bursts, in seconds. */
  readonly calm: number
  /** Faults of the program's side that are left out, such as `redis empty,line stall`. */
  readonly without: string
}

/** What is taken unless said otherwise. */
export const DEFAULTS = {
  topology: 'single',
  seed: 1,
  seconds: 60,
  rate: 12,
  users: 40,
  workers: 5,
  burst: 3,
  calm: 20,
  without: '',
} as const satisfies ChaosOptions

const KINDS: readonly string[] = Object.entries(FAULTS).flatMap(([part, harms]) =>
  harms.map((harm) => `${part} ${harm}`),
)

export const HELP = `Usage: npm run chaos -- [options]

Starts the program as real processes, lets many clients come and go, breaks everything that can break,
and checks what readers are shown against what was done. Exit code 1 when an invariant is violated.

  --topology <name>   ${TOPOLOGIES.join(', ')} [${DEFAULTS.topology}]
                        single   one server, presence in its memory
                        bridges  one broker, three bridges, one Redis
                        cluster  three servers (--cluster), one bridge beside them, one Redis
  --seed <number>     what the plan is drawn from [${DEFAULTS.seed}]
  --seconds <number>  how long things are done and broken [${DEFAULTS.seconds}]
  --rate <number>     acts of users, a second [${DEFAULTS.rate}]
  --users <number>    [${DEFAULTS.users}]
  --workers <number>  processes of clients [${DEFAULTS.workers}]
  --burst <number>    at most so many faults of our side follow one another at once [${DEFAULTS.burst}]
  --calm <seconds>    then nothing of our side is broken for so long [${DEFAULTS.calm}]
  --without <faults>  faults that are left out, with commas: ${KINDS.join(', ')}
  --help              this text
`

/** What the command line asks for, or a sentence about what is wrong with it. */
export type Asked =
  | { readonly kind: 'run'; readonly options: ChaosOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly sentence: string }

const BOUNDS = {
  seed: [0, 4_294_967_295],
  seconds: [1, 86_400],
  rate: [0.1, 1000],
  users: [1, 1000],
  workers: [1, 50],
  burst: [0, 20],
  calm: [0, 600],
} as const satisfies Record<string, readonly [number, number]>

const WHOLE: readonly string[] = ['seed', 'users', 'workers', 'burst']

/** Reads the arguments. */
export function parseOptions(argv: readonly string[]): Asked {
  const names = Object.keys(DEFAULTS)
  const kinds = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
  let values: Record<string, string | boolean | undefined>
  try {
    const options = { ...kinds, help: { type: 'boolean' as const } }
    values = parseArgs({ args: [...argv], options, strict: true }).values
  } catch (error) {
    return { kind: 'wrong', sentence: (error as Error).message }
  }
  if (values['help']) return { kind: 'help' }
  const options: Record<string, string | number> = { ...DEFAULTS }
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'string') continue
    const sentence = wrongValue(name, value)
    if (sentence !== undefined) return { kind: 'wrong', sentence }
    options[name] = name in BOUNDS ? Number(value) : value
  }
  return { kind: 'run', options: options as unknown as ChaosOptions }
}

/** The command that repeats a run. */
export function commandOf(options: ChaosOptions): string {
  const flags = Object.entries(options).flatMap(([name, value]) => {
    if (value === '') return []
    return [`--${name} ${name === 'without' ? `'${value}'` : value}`]
  })
  return `npm run chaos -- ${flags.join(' ')}`
}

function wrongValue(name: string, value: string): string | undefined {
  if (name === 'topology') return wrongTopology(value)
  if (name === 'without') return wrongFaults(value)
  return wrongNumber(name as keyof typeof BOUNDS, value)
}

function wrongFaults(value: string): string | undefined {
  const unknown = value.split(',').find((kind) => kind !== '' && !KINDS.includes(kind))
  return unknown && `--without must name ${KINDS.join(', ')}, got ${unknown}`
}

function wrongTopology(value: string): string | undefined {
  if ((TOPOLOGIES as readonly string[]).includes(value)) return undefined
  return `--topology must be one of ${TOPOLOGIES.join(', ')}, got ${value}`
}

function wrongNumber(name: keyof typeof BOUNDS, value: string): string | undefined {
  const [min, max] = BOUNDS[name]
  const number = value.trim() === '' ? Number.NaN : Number(value)
  const isWhole = WHOLE.includes(name)
  if (number >= min && number <= max && (!isWhole || Number.isInteger(number))) return undefined
  return `--${name} must be a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}, got ${value}`
}
