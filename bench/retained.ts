/*
 * What a SUBSCRIBE to the members of one room costs among few and among many retained topics, on our
 * store and on the one that Aedes brings. The room is the same; only what it lies among grows.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'

import { Aedes } from 'aedes'
import { connectAsync } from 'mqtt'

import { MemoryPersistence } from '../broker/persistence/memory-persistence.ts'
import { RetainedIndex } from '../broker/retained/retained-index.ts'

const FEW = 1_000
const MANY = 100_000
const MEMBERS = 20
const FILTER = 'presence/rooms/room7/members/+'
const REPETITIONS = 60

/** One way to do the work; each run is measured on its own. */
interface Contestant {
  readonly name: string
  readonly topics: number
  /** Does the work once and returns the milliseconds. */
  run(): Promise<number>
  close(): Promise<void>
}

/** Measures, and prints the headline and a table. */
export async function main(): Promise<void> {
  const contestants: Contestant[] = []
  for (const topics of [FEW, MANY]) {
    contestants.push(
      indexContestant(topics),
      ...(await brokerContestants('our', topics, new MemoryPersistence())),
      ...(await brokerContestants('plain', topics)),
    )
  }
  const medians = await measure(contestants)
  const median = (name: string, topics: number): number => medians.get(`${name} ${topics}`) ?? NaN
  const ratio = (name: string): string => `${(median(name, MANY) / median(name, FEW)).toFixed(2)}x`

  console.log(
    `retained: subscribe among 100k vs 1k topics: ${ratio('our broker')} (plain aedes: ${ratio('plain broker')})`,
  )
  console.log(`\nmedian of ${REPETITIONS}, in microseconds, for ${MEMBERS} retained messages:\n`)
  console.log(row(['', '1k topics', '100k topics', 'ratio']))
  for (const name of ['our index', 'our store', 'plain store', 'our broker', 'plain broker']) {
    const few = (median(name, FEW) * 1000).toFixed(1)
    const many = (median(name, MANY) * 1000).toFixed(1)
    console.log(row([name, few, many, ratio(name)]))
  }
  for (const contestant of contestants) await contestant.close()
}

/** The lookup alone, without streams and sockets. */
function indexContestant(topics: number): Contestant {
  const index = new RetainedIndex<string>()
  for (const topic of memberTopics(topics)) index.set(topic, topic)
  // A single lookup is shorter than the clock's resolution.
  const rounds = 100
  return {
    name: 'our index',
    topics,
    async run() {
      const start = performance.now()
      for (let i = 0; i < rounds; i++) expectAll([...index.match(FILTER)].length)
      return (performance.now() - start) / rounds
    },
    close: () => Promise.resolve(),
  }
}

/** The store's lookup through its stream, and a SUBSCRIBE over TCP to the last retained message. */
async function brokerContestants(
  name: string,
  topics: number,
  persistence?: MemoryPersistence,
): Promise<Contestant[]> {
  const broker = await Aedes.createBroker(persistence ? { persistence } : {})
  const { persistence: store } = broker as unknown as {
    persistence: { createRetainedStreamCombi(filters: string[]): Readable }
  }
  for (const topic of memberTopics(topics)) await publishRetained(broker, topic)

  const server = createServer({ noDelay: true }, (socket) => void broker.handle(socket)).listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`)
  let onMessage: () => void = () => {}
  client.on('message', () => onMessage())

  const lookUp: Contestant = {
    name: `${name} store`,
    topics,
    async run() {
      const start = performance.now()
      expectAll((await store.createRetainedStreamCombi([FILTER]).toArray()).length)
      return performance.now() - start
    },
    close: () => Promise.resolve(),
  }
  const subscribe: Contestant = {
    name: `${name} broker`,
    topics,
    async run() {
      let received = 0
      const start = performance.now()
      const all = new Promise<number>((resolve) => {
        onMessage = () => {
          if (++received === MEMBERS) resolve(performance.now() - start)
        }
      })
      await client.subscribeAsync(FILTER)
      const took = await all
      await client.unsubscribeAsync(FILTER)
      return took
    },
    async close() {
      await client.endAsync()
      await new Promise<void>((resolve) => broker.close(resolve))
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return [lookUp, subscribe]
}

/**
 * Everybody takes a turn in each round, so that a slow moment of the machine hits all alike, and
 * twice, so that nobody is measured while the garbage of the one before is collected.
 */
async function measure(contestants: readonly Contestant[]): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>()
  for (let round = -10; round < REPETITIONS; round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      await contestant.run()
      const took = await contestant.run()
      const key = `${contestant.name} ${contestant.topics}`
      // The first rounds are for the compiler.
      if (round >= 0) samples.set(key, [...(samples.get(key) ?? []), took])
    }
  }
  return new Map([...samples].map(([key, times]) => [key, medianOf(times)]))
}

function medianOf(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN
}

function* memberTopics(count: number): Generator<string> {
  for (let i = 0; i < count; i++) {
    yield `presence/rooms/room${Math.floor(i / MEMBERS)}/members/user${i}`
  }
}

function publishRetained(broker: Aedes, topic: string): Promise<void> {
  const payload = JSON.stringify({
    user: topic.slice(topic.lastIndexOf('/') + 1),
    status: 'online',
  })
  return new Promise((resolve, reject) => {
    const packet = { cmd: 'publish', topic, payload, qos: 0, dup: false, retain: true } as const
    broker.publish(packet, (error) => (error ? reject(error) : resolve()))
  })
}

function expectAll(found: number): void {
  if (found !== MEMBERS) throw new Error(`expected ${MEMBERS} retained messages, got ${found}`)
}

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(14) : cell.padStart(12))).join('')
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await main()
