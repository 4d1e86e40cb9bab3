import { commandOf } from './options.ts'
import type { Outcome } from './run.ts'
import type { Violation } from './judge.ts'

/** How many violations of each invariant are told in full, and how much of what led to them, in milliseconds. */
const MAX_TOLD = 3
const BEFORE_MS = 40_000
const AFTER_MS = 4000

/** What a run has shown, for people. */
export function report(outcome: Outcome): string {
  const { options, counts, violations, checks } = outcome
  const sorted = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const sum = (start: string): number =>
    sorted.filter(([kind]) => kind.startsWith(start)).reduce((total, [, n]) => total + n, 0)
  const deaths = (counts.get('die') ?? 0) + (counts.get('half-open') ?? 0)
  const lines = [
    `seed ${options.seed}, ${options.topology}, ${options.seconds} s`,
    ...sorted.map(([kind, n]) => `  ${String(n).padStart(6)}  ${kind}`),
    `faults: ${sum('ours')} of ours, ${sum('clients') + deaths} of clients`,
    `checked: ${Object.entries(checks)
      .map(([what, n]) => `${n} ${what}`)
      .join(', ')}`,
    ...firstOfEach(violations).flatMap((violation) => tell(violation, outcome)),
    ...countKinds(violations),
    violations.length === 0 ? 'no violation' : `${violations.length} VIOLATIONS; the same again:`,
    commandOf(options),
  ]
  return `${lines.join('\n')}\n`
}

/** A violation, with what was done and read around it. */
function tell({ invariant, key, at, reader, detail }: Violation, outcome: Outcome): string[] {
  const words = key.split(' ')
  const isNear = (time: number): boolean => time > at - BEFORE_MS && time < at + AFTER_MS
  const concerns = (topic: string): boolean => {
    const levels = topic.split('/')
    if (words.length === 1) return levels[2] === words[0]
    return (
      levels.includes(words[0] ?? '') &&
      (levels.includes(words[1] ?? '') || !levels.includes('members'))
    )
  }
  const done = outcome.deeds
    .filter(
      (deed) => isNear(deed.at) && (words.includes(deed.who) || !deed.who.startsWith('user-')),
    )
    .map((deed) => ({ at: deed.at, line: `${deed.who} ${deed.what}` }))
  const read = outcome.readings
    .filter(({ name }) => name === reader)
    .flatMap(({ log }) => log)
    .filter((message) => isNear(message.at) && concerns(message.topic))
    .filter(({ text }) => words.length === 1 || text.includes(words[1] ?? '') || text === '')
    .map((message) => ({ at: message.at, line: `    read ${message.topic} ${message.text}` }))
  const around = [...done, ...read].toSorted((a, b) => a.at - b.at)
  return [
    '',
    `VIOLATION at ${Math.round(at)}: ${invariant}: ${key}, ${reader}: ${detail}`,
    ...around.map((each) => `  ${Math.round(each.at)} ${each.line}`),
    '',
  ]
}

function firstOfEach(violations: readonly Violation[]): readonly Violation[] {
  const told = new Map<string, number>()
  return violations.filter(({ invariant }) => {
    const before = told.get(invariant) ?? 0
    told.set(invariant, before + 1)
    return before < MAX_TOLD
  })
}

function countKinds(violations: readonly Violation[]): string[] {
  const counts = new Map<string, number>()
  for (const { invariant } of violations) counts.set(invariant, (counts.get(invariant) ?? 0) + 1)
  return Array.from(counts, ([invariant, n]) => `  ${n} times: ${invariant}`)
}
