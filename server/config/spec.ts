import type { KindName, KindValues } from './kinds.ts'

/**
 * One option, as data. The flag, the environment variable, the key in the file, the check of the
 * value, its type and its lines in `--help` all follow from this.
 */
interface OptionSpec extends Bounds {
  /** What its values are: how they are read, checked and typed. */
  readonly kind: KindName
  /** One sentence for `--help`. */
  readonly about: string
  /** As people write it. Without one the option may stay unset. */
  readonly default?: string
  /** Opens a group of options in `--help`. */
  readonly heading?: string
  /** The flag without dashes, where it is not the key in kebab case. */
  readonly flag?: string
  /** The environment variable without its prefix, where it is not the flag in capitals. */
  readonly variable?: string
  /** The key of an option that this one may not exceed. */
  readonly atMost?: string
  /** Its value never appears in a message. */
  readonly secret?: true
  /** Makes no sense in a configuration file. */
  readonly notInFile?: true
}

/** What narrows a kind for one option; written as people write its values. */
export interface Bounds {
  readonly min?: string
  readonly max?: string
  /** For the kind `choice`. */
  readonly choices?: readonly string[]
  /** For the kind `url`. */
  readonly schemes?: readonly string[]
}

/** Options and groups of options, in the shape of the configuration file. */
interface OptionTable {
  readonly [key: string]: OptionSpec | OptionTable
}

/** The configuration that a table of options describes. */
export type ValuesOf<Table> = { readonly [Key in keyof Table]: ValueOf<Table[Key]> }

type ValueOf<Spec> = Spec extends { readonly kind: infer Kind extends KindName }
  ? KindValue<Spec, Kind> | (Spec extends { readonly default: string } ? never : undefined)
  : ValuesOf<Spec>

type KindValue<Spec, Kind extends KindName> = Spec extends {
  readonly choices: readonly (infer Choice)[]
}
  ? Choice
  : KindValues[Kind]

/** An option with the names it goes by. */
export interface Option {
  readonly spec: OptionSpec
  /** In the file, nested: `grace.closed`. */
  readonly key: string
  /** `--grace-closed` */
  readonly flag: string
  /** `PRESENCE_GRACE_CLOSED` */
  readonly variable: string
}

/** What all environment variables of the program start with. */
export const VARIABLE_PREFIX = 'PRESENCE_'

/** Every option of a table with its names, in the table's order. */
export function listOptions(table: OptionTable, parent = ''): readonly Option[] {
  return Object.entries(table).flatMap(([name, entry]) => {
    const key = parent + name
    if (!isOption(entry)) return listOptions(entry, `${key}.`)
    const words = entry.flag ?? kebabCase(key)
    const variable = VARIABLE_PREFIX + (entry.variable ?? words.replaceAll('-', '_').toUpperCase())
    return [{ spec: entry, key, flag: `--${words}`, variable }]
  })
}

function isOption(entry: OptionSpec | OptionTable): entry is OptionSpec {
  return typeof entry.kind === 'string'
}

function kebabCase(key: string): string {
  return key.replaceAll('.', '-').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
