import { KINDS } from './kinds.ts'
import { OPTIONS } from './options.ts'
import { listOptions, type Option } from './spec.ts'

const INTRODUCTION = `\
Presence Bridge: who is online, in which room, for everything that speaks MQTT.

Usage: presence-bridge [server | broker | bridge] [options]

  server   broker, bridge and HTTP in one process; what runs when none is named
  broker   broker and HTTP only
  bridge   bridge only, attached to the broker that --broker names

presence-bridge passwd FILE USER sets a password in the file of --passwords.

Each option can be given as a flag, as an environment variable or in a JSON
file; a flag goes before a variable, a variable before the file. Each is listed
with its [default] and its key in the file, where a dot stands for an object in
an object: {"grace":{"closed":"5s"}}.

A duration has a unit: 250ms, 5s, 2m, 1h, 7d. So has a size: 512B, 64kB, 1MB;
a kB is 1024 bytes.
`

/** Where the sentences start: the longest flag and its placeholder fit before it. */
const COLUMN = 39

/** The text of `--help`, for a terminal of so many columns. */
export function formatHelp(columns = 80): string {
  const options = listOptions(OPTIONS).map((option) => formatOption(option, columns - COLUMN))
  const other = [
    ['-h, --help', 'Print this.'] as const,
    ['--version', 'Print the version.'] as const,
  ]
  const rows = other.map(([name, sentence]) => formatRows([name], [sentence]))
  return [INTRODUCTION, ...options, '\nOther\n', ...rows].join('')
}

/** The names on the left, what is to say on the right. */
function formatOption(option: Option, width: number): string {
  const { heading, about, choices, kind, notInFile } = option.spec
  const sentence = choices ? `${about} One of ${choices.join(', ')}.` : about
  const standard = `[${option.spec.default || 'not set'}]`
  const facts = notInFile ? standard : `${standard.padEnd(19)}${option.key}`
  return (
    (heading === undefined ? '' : `\n${heading}\n`) +
    formatRows(
      [`${option.flag} <${KINDS[kind].placeholder}>`, option.variable],
      [...wrap(sentence, width), facts],
    )
  )
}

function formatRows(left: readonly string[], right: readonly string[]): string {
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, row) =>
    `  ${left[row] ?? ''}`
      .padEnd(COLUMN)
      .concat(right[row] ?? '')
      .trimEnd(),
  )
  return `${rows.join('\n')}\n`
}

function wrap(sentence: string, width: number): readonly string[] {
  const lines = ['']
  for (const word of sentence.split(' ')) {
    const line = lines.pop() ?? ''
    const longer = line === '' ? word : `${line} ${word}`
    lines.push(...(longer.length > width ? [line, word] : [longer]))
  }
  return lines
}
