/*
 * What one step of the pure core costs, and whether that grows with the number of users.
 *
 * Each population lives in a process of its own, so that the garbage collection of the one does not
 * slow the other; they are measured in turns, one at a time. A turn takes users at random, a small
 * batch at a time: their states are fetched from a Map and walked through once, which brings them
 * into the processor's cache as a store does that reads them from anywhere; then every input of the
 * batch is stepped, and what comes of it is dropped: that is what a step costs. Other turns put the
 * states back, as the memory store does, and are timed as a whole: among a million users that is a
 * walk through cold memory, and every state that is kept is work for the garbage collector.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

import {
  createUserState,
  resolvePolicy,
  step,
  type Input,
  type UserState,
} from '../bridge/core/index.ts'
import type { Cause, ConnectionDocument, Json } from '../protocol/index.ts'

const FEW = 1_000
const MANY = 1_000_000
const ROUNDS = 21
const INPUTS = 40_000
const BATCH = 16
const POLICY = resolvePolicy()

/**
 * Whenever the nursery is full V8 looks at every page of the heap, 5 ms for a million users, so a
 * large server gives it a large one. Both populations have it here: 64 MB.
 */
const HEAP = ['--max-old-space-size=6000', '--min-semi-space-size=64', '--max-semi-space-size=64']

/** Nanoseconds an input in one round that drops what comes of it. */
interface Dropped {
  readonly fetch: number
  readonly step: number
  /** The share of inputs that others were told something of. */
  readonly told: number
}

/** Nanoseconds an input in one round that keeps what comes of it. */
interface Kept {
  readonly whole: number
}

/** Measures both populations in turns, and prints the headline and a table. */
export async function main(): Promise<void> {
  const few = await populate(FEW)
  const many = await populate(MANY)
  const dropped = await measure<Dropped>('drop', few, many)
  const kept = await measure<Kept>('keep', few, many)
  few.disconnect()
  many.disconnect()

  const rows = [
    compare('step', dropped, ({ step: cost }) => cost),
    compare('fetch', dropped, ({ fetch }) => fetch),
    compare('whole', kept, ({ whole }) => whole),
  ] as const
  const [{ few: cost, ratio }] = rows
  const rate = Math.round(1e9 / cost).toLocaleString('en')
  console.log(`core: ${rate} inputs/s on one thread; cost at 1M users is ${ratio}x that at 1k`)
  const told = compare('told', dropped, (round) => round.told).few
  console.log(
    `\nmedian of ${ROUNDS} rounds of ${INPUTS.toLocaleString('en')} inputs, in nanoseconds an input; ` +
      `${Math.round(100 * told)} % of them change what others see\n`,
  )
  console.log(row(['', '1k users', '1M users', 'ratio']))
  for (const { name, few: small, many: large, ratio: times } of rows) {
    console.log(row([name, small.toFixed(0), large.toFixed(0), `${times}x`]))
  }
}

/** The rounds of few and of many users, taken in turns. */
async function measure<T>(
  kind: 'drop' | 'keep',
  few: ChildProcess,
  many: ChildProcess,
): Promise<readonly (readonly [few: T, many: T])[]> {
  const rounds: [T, T][] = []
  for (let i = 0; i < ROUNDS; i++) rounds.push([await ask(few), await ask(many)])
  return rounds

  async function ask(child: ChildProcess): Promise<T> {
    child.send(kind)
    const [round] = (await once(child, 'message')) as [T]
    return round
  }
}

/** The medians of one figure, and of its ratio in rounds that followed each other. */
function compare<T>(
  name: string,
  rounds: readonly (readonly [few: T, many: T])[],
  figure: (round: T) => number,
): { readonly name: string; readonly few: number; readonly many: number; readonly ratio: string } {
  return {
    name,
    few: median(rounds.map(([few]) => figure(few))),
    many: median(rounds.map(([, many]) => figure(many))),
    ratio: median(rounds.map(([few, many]) => figure(many) / figure(few))).toFixed(2),
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? NaN
}

function row(cells: readonly string[]): string {
  const [name = '', ...figures] = cells
  return name.padEnd(12) + figures.map((figure) => figure.padStart(12)).join('')
}

async function populate(users: number): Promise<ChildProcess> {
  const child = fork(fileURLToPath(import.meta.url), ['population', String(users)], {
    execArgv: [...process.execArgv, ...HEAP],
  })
  await once(child, 'message')
  return child
}

/** Users who come, say things, refresh, lose their connection and leave. */
class Population {
  readonly #states = new Map<string, UserState>()
  readonly #names: string[] = []
  /** By user: how many connections it has had; negative while it has none. */
  readonly #connections: Int32Array
  readonly #random = createRandom(1)
  #now = 1_700_000_000_000

  constructor(users: number) {
    this.#connections = new Int32Array(users)
    for (let user = 0; user < users; user++) {
      const name = `user-${user.toString(36)}`
      this.#names.push(name)
      const life = [...this.#arrive(user), this.#end('c1', 'closed'), ...this.#arrive(user)]
      this.#states.set(name, advance(createUserState(name), life).state)
    }
  }

  /** Takes so many inputs, and drops what comes of them. */
  drop(inputs: number): Dropped {
    let [taken, told, fetch, steps] = [0, 0, 0, 0]
    while (taken < inputs) {
      const batch = this.#batch(false)
      const start = performance.now()
      const states = this.#fetch(batch)
      const fetched = performance.now()
      for (const [i, { life }] of batch.entries()) told += advance(states[i], life).told
      steps += performance.now() - fetched
      fetch += fetched - start
      for (const { life } of batch) taken += life.length
    }
    return { fetch: (1e6 * fetch) / taken, step: (1e6 * steps) / taken, told: told / taken }
  }

  /** Takes so many inputs, and keeps what comes of them. */
  keep(inputs: number): Kept {
    let [taken, whole] = [0, 0]
    while (taken < inputs) {
      const batch = this.#batch(true)
      const start = performance.now()
      for (const { name, life } of batch) {
        this.#states.set(name, advance(this.#states.get(name), life).state)
      }
      whole += performance.now() - start
      for (const { life } of batch) taken += life.length
    }
    return { whole: (1e6 * whole) / taken }
  }

  /** Users at random, and what each of them does next. Nobody is in a batch twice. */
  #batch(isKept: boolean): readonly { readonly name: string; readonly life: readonly Timed[] }[] {
    const users = new Set(Array.from({ length: BATCH }, () => this.#pick(this.#names.length)))
    return Array.from(users, (user) => {
      const connections = this.#connections[user] ?? 0
      const life = this.#live(user)
      if (!isKept) this.#connections[user] = connections
      return { name: this.#names[user] ?? '', life }
    })
  }

  #fetch(batch: readonly { readonly name: string }[]): readonly UserState[] {
    return batch.map(({ name }) => {
      const state = this.#states.get(name)
      if (!state || leaves(state) === 0) throw new Error(`expected a state of ${name}`)
      return state
    })
  }

  /** What a user does next: one to four inputs. */
  #live(user: number): Timed[] {
    const connections = this.#connections[user] ?? 0
    if (connections < 0) {
      this.#connections[user] = -connections
      return this.#arrive(user)
    }
    const dice = this.#pick(100)
    const id = `c${connections}`
    if (dice < 35) return [this.#say(id, { rooms: this.#rooms(user, this.#pick(1000)) })]
    if (dice < 50) return [this.#say(id, { rooms: this.#rooms(user, 0), data: { color: 'red' } })]
    if (dice < 60) return [this.#say(id, { status: 'away' }), this.#say(id, {})]
    if (dice < 80) return [this.#end(id, 'closed'), ...this.#arrive(user)]
    if (dice < 90) return [this.#unload(id), this.#end(id, 'closed'), ...this.#arrive(user)]
    this.#connections[user] = -connections
    if (dice < 95) return [this.#end(id, 'left')]
    const end = this.#end(id, 'timeout')
    return [end, { input: { type: 'timer' }, at: end.at + POLICY.grace.timeout }]
  }

  /** A new connection: announced by the broker, then with its first document. */
  #arrive(user: number): Timed[] {
    const id = `c${(this.#connections[user] = (this.#connections[user] ?? 0) + 1)}`
    const said = { seq: 0, rooms: this.#rooms(user, 0), data: { color: 'red' } }
    return [this.#say(id, {}), this.#say(id, said)]
  }

  #rooms(user: number, data: Json): ReadonlyMap<string, Json> {
    return new Map([
      [`room-${user % 5000}`, data],
      ['lobby', null],
    ])
  }

  #say(connection: string, said: Partial<ConnectionDocument>): Timed {
    const document: ConnectionDocument = { status: 'online', connection, broker: 'b1', ...said }
    return { input: { type: 'document', client: 'tab', document }, at: ++this.#now }
  }

  #unload(connection: string): Timed {
    return this.#say(connection, { status: 'offline', reason: 'unload' })
  }

  #end(connection: string, reason: Cause): Timed {
    return this.#say(connection, { status: 'offline', reason, ended: true })
  }

  #pick(bound: number): number {
    return Math.floor(this.#random() * bound)
  }
}

/** Takes a user through a piece of its life. */
function advance(
  from: UserState | undefined,
  life: readonly Timed[],
): { readonly state: UserState; readonly told: number } {
  let state = from ?? createUserState('')
  let told = 0
  for (const { input, at } of life) {
    const [next, effects] = step(state, input, at, POLICY)
    state = next
    if (effects.length > 0) told++
  }
  return { state, told }
}

/** How many plain values there are in a value: looks at every one of them, and allocates nothing. */
function leaves(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  let count = 0
  for (const key in value) count += leaves((value as Record<string, unknown>)[key])
  return count
}

interface Timed {
  readonly input: Input
  readonly at: number
}

/** Mulberry32: small, quick and the same every time. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The process in which one population lives. */
function serve(users: number): void {
  const population = new Population(users)
  // Until the code is compiled the figures are not those that last.
  population.drop(10 * INPUTS)
  process.on('message', (kind: 'drop' | 'keep') => process.send?.(population[kind](INPUTS)))
  process.send?.('ready')
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  if (argv[2] === 'population') serve(Number(argv[3]))
  else await main()
}
