import { createRandom, type Random } from '../helpers/random.ts'
import { FAULTS, type Harm, type Part } from './history.ts'
import type { ChaosOptions, Topology } from './options.ts'

const ROOMS: readonly string[] = ['lobby', 'den', 'attic', 'cellar']

/** How many connections a user has at most. */
export const SLOTS = 3

/** What a user does with one of its clients. What does not fit its state becomes a connect, or nothing. */
const ACTS = [
  'say',
  'refresh',
  'return',
  'take over',
  'leave',
  'say goodbye',
  'die',
  'half-open',
] as const
export type Act = (typeof ACTS)[number]

/** What happens to a process of clients. */
export type Blow = 'freeze' | 'unplug' | 'kill'

/** How and where somebody connects, and what it says then. */
export interface Manner {
  readonly broker: number
  readonly version: '3.1.1' | '5'
  readonly transport: 'tcp' | 'websocket'
  /** Null: it says nothing. */
  readonly rooms: readonly string[] | null
  /** How long it stays away where an act has a pause, in milliseconds. */
  readonly pauseMs: number
}

/** One thing to do, at a time since the beginning, in milliseconds. */
export type Action = { readonly at: number } & (
  | {
      readonly type: 'act'
      readonly act: Act
      readonly user: number
      readonly slot: number
      readonly manner: Manner
    }
  | {
      readonly type: 'storm'
      readonly act: 'say' | 'return'
      readonly users: readonly number[]
      readonly manner: Manner
    }
  | { readonly type: 'blow'; readonly blow: Blow; readonly worker: number; readonly ms: number }
  | {
      readonly type: 'fault'
      readonly part: Part
      readonly harm: Harm
      readonly target: number
      readonly ms: number
    }
)

/** How many of each part a topology has; the servers of a cluster are brokers. Lines are the connections to Redis, then those of bridges to brokers. */
export const PARTS: Readonly<Record<Topology, Readonly<Record<Part, number>>>> = {
  single: { server: 1, broker: 0, bridge: 0, redis: 0, line: 0 },
  bridges: { server: 0, broker: 1, bridge: 3, redis: 1, line: 6 },
  cluster: { server: 0, broker: 3, bridge: 1, redis: 1, line: 5 },
}

/** Faults of one burst begin so far apart at most, in milliseconds. */
const BURST_MS = 5000

/** The plan of a run: the same options, the same plan. Pure. */
export function makePlan(options: ChaosOptions): readonly Action[] {
  const { seed, seconds } = options
  const until = seconds * 1000
  const plan = [
    ...planActs(options, createRandom(seed), until),
    ...planBlows(options, createRandom(seed + 1), until),
    ...planFaults(options, createRandom(seed + 2), until),
  ]
  return plan.toSorted((a, b) => a.at - b.at)
}

function planActs(
  { rate, users, topology }: ChaosOptions,
  random: Random,
  until: number,
): Action[] {
  const plan: Action[] = []
  let nextStorm = 4000 + random.below(8000)
  for (let at = 0; at < until; at += exponential(random, 1000 / rate)) {
    if (at >= nextStorm) {
      const some = Array.from({ length: users }, (_, i) => i).filter(() => random.chance(0.6))
      const act = random.pick(['say', 'return'] as const)
      plan.push({ at, type: 'storm', act, users: some, manner: drawManner(random, topology) })
      nextStorm = at + 10_000 + random.below(20_000)
    }
    const act = drawAct(random)
    const user = random.below(users)
    const slot = random.below(random.chance(0.6) ? 1 : SLOTS)
    plan.push({ at, type: 'act', act, user, slot, manner: drawManner(random, topology) })
  }
  return plan
}

function drawAct(random: Random): Act {
  const weights: readonly (readonly [Act, number])[] = [
    ['say', 30],
    ['refresh', 14],
    ['return', 14],
    ['take over', 12],
    ['leave', 8],
    ['say goodbye', 6],
    ['die', 12],
    ['half-open', 4],
  ]
  let left = random.below(100)
  for (const [act, weight] of weights) {
    if (left < weight) return act
    left -= weight
  }
  return 'say'
}

function drawManner(random: Random, topology: Topology): Manner {
  const { server, broker } = PARTS[topology]
  return {
    broker: random.below(server + broker),
    version: random.pick(['3.1.1', '5'] as const),
    transport: random.pick(['tcp', 'websocket'] as const),
    rooms: random.chance(0.08) ? null : ROOMS.filter(() => random.chance(0.45)),
    pauseMs: random.below(1200),
  }
}

function planBlows({ workers }: ChaosOptions, random: Random, until: number): Action[] {
  const plan: Action[] = []
  for (let at = 2000; at < until; at += 1500 + random.below(4000)) {
    const blow = random.pick(['freeze', 'freeze', 'unplug', 'unplug', 'kill'] as const)
    const ms = random.pick([300, 1000, 2500, 5000, 9000]) + random.below(500)
    plan.push({ at, type: 'blow', blow, worker: random.below(workers), ms })
  }
  return plan
}

/** Bursts of faults, and calm between them, in which everything has to become exact. */
function planFaults(options: ChaosOptions, random: Random, until: number): Action[] {
  const { topology, burst, calm } = options
  const without = options.without.split(',')
  const parts = PARTS[topology]
  const choices = Object.entries(FAULTS)
    .flatMap(([part, harms]) =>
      parts[part as Part] > 0 ? harms.map((harm) => ({ part: part as Part, harm })) : [],
    )
    .filter(({ part, harm }) => !without.includes(`${part} ${harm}`))
  const plan: Action[] = []
  if (burst === 0 || choices.length === 0) return plan
  let at = 3000 + random.below(2000)
  while (at < until) {
    let end = at
    const faults = 1 + random.below(burst)
    for (let i = 0; i < faults && at < until; i++, at += random.below(BURST_MS)) {
      const choice = random.pick(choices)
      const ms = drawLength(random, choice)
      plan.push({ at, type: 'fault', ...choice, target: random.below(parts[choice.part]), ms })
      end = Math.max(end, at + ms)
    }
    at = end + calm * (500 + random.below(1000))
  }
  return plan
}

/** How long a part is stopped, gone or cut off, in milliseconds. */
function drawLength(random: Random, { part, harm }: { part: Part; harm: Harm }): number {
  if (harm === 'stop' || harm === 'stall') {
    const longest = part === 'redis' || part === 'line' ? 10_000 : 12_000
    return random.chance(0.7) ? 1000 + random.below(3000) : 1000 + random.below(longest - 1000)
  }
  return harm === 'drop' || harm === 'cut' ? 0 : random.below(3000)
}

function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean
}
