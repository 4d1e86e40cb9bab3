/*
 * What several brokers cost: how long a message takes to a reader at the same broker and at another one, how
 * many get there in a second, and what `--cluster` takes from the fan-out of one broker. Servers and Redis are
 * processes of their own; the clients are this one.
 */
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import { pathToFileURL } from 'node:url'
import { startCluster } from '../test/helpers/cluster.ts'
import { startProgram } from '../test/helpers/process.ts'
import { inScenario } from '../test/helpers/teardown.ts'
import { connectRaw } from './raw-client.ts'

const PAYLOAD = 'x'.repeat(120)
const ROUNDS = 5
const ROUND_MS = 1000
/** Messages on their way at a time. */
const WINDOW = 200
/** Readers of one broker, where its fan-out is measured. */
const READERS = 50
const SAMPLES = 1000
const PAUSE_MS = 2

/** Where messages come from, and where they are read. */
interface Route {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly readers: number
}

/** Measures, and prints the headline and a table. */
export async function main(): Promise<void> {
  await inScenario(async () => {
    const { servers } = await startCluster(3)
    const alone = await startProgram()
    const [here = 0, there = 0] = servers.map(({ mqttPort }) => mqttPort)
    const routes: readonly Route[] = [
      { name: 'one reader, a broker alone', from: alone.mqttPort, to: alone.mqttPort, readers: 1 },
      { name: 'one reader, same broker of three', from: here, to: here, readers: 1 },
      { name: 'one reader, another broker of three', from: here, to: there, readers: 1 },
      {
        name: `${READERS} readers, a broker alone`,
        from: alone.mqttPort,
        to: alone.mqttPort,
        readers: READERS,
      },
      { name: `${READERS} readers, same broker of three`, from: here, to: here, readers: READERS },
    ]
    const latencies = new Map<string, number[]>()
    const rates = new Map<string, number[]>()
    for (let round = 0; round < ROUNDS; round++) {
      for (const route of routes) {
        const known = rates.get(route.name) ?? []
        rates.set(route.name, [...known, await measureRate(route, round)])
      }
    }
    for (const route of routes.slice(0, 3)) latencies.set(route.name, await measureLatency(route))
    report(routes, rates, latencies)
  })
}

/** Publishes as fast as the readers get it; deliveries a second. */
async function measureRate({ from, to, readers, name }: Route, round: number): Promise<number> {
  const topic = `bench/${name}/${round}`
  let delivered = 0
  let sent = 0
  let isOver = false
  let more = (): void => {}
  const clients = await Promise.all(
    Array.from({ length: readers }, (_, i) => connectRaw(to, `reader-${round}-${i}-${topic}`)),
  )
  for (const client of clients) {
    client.subscribe(topic, () => {
      delivered++
      if (sent - delivered / readers < WINDOW / 2) more()
    })
  }
  const publisher = await connectRaw(from, `publisher-${topic}`)
  await sleep(200)
  const begin = performance.now()
  more = () => {
    while (!isOver && sent - delivered / readers < WINDOW) {
      publisher.publish(topic, PAYLOAD)
      sent++
    }
  }
  more()
  await sleep(ROUND_MS)
  const perSecond = (1000 * delivered) / (performance.now() - begin)
  isOver = true
  for (const client of [...clients, publisher]) client.cut()
  return perSecond
}

/** One message at a time; milliseconds for each. */
async function measureLatency({ from, to, name }: Route): Promise<number[]> {
  const topic = `latency/${name}`
  const reader = await connectRaw(to, `reader-${topic}`)
  const publisher = await connectRaw(from, `publisher-${topic}`)
  let arrived = (): void => {}
  reader.subscribe(topic, () => arrived())
  await sleep(200)
  const took: number[] = []
  for (let i = 0; i < SAMPLES; i++) {
    await sleep(PAUSE_MS)
    const begin = performance.now()
    await new Promise<void>((resolve) => {
      arrived = resolve
      publisher.publish(topic, PAYLOAD)
    })
    took.push(performance.now() - begin)
  }
  reader.cut()
  publisher.cut()
  return took.toSorted((a, b) => a - b)
}

function report(
  routes: readonly Route[],
  rates: ReadonlyMap<string, readonly number[]>,
  latencies: ReadonlyMap<string, readonly number[]>,
): void {
  const rate = (name = ''): number =>
    at(
      (rates.get(name) ?? []).toSorted((a, b) => a - b),
      0.5,
    )
  const [, same, other, fanoutAlone, fanoutSame] = routes.map(({ name }) => name)
  const cost = rate(fanoutSame) / rate(fanoutAlone)
  console.log(
    `cluster: ${rate(other).toFixed(0)} messages/s to another broker, ` +
      `median ${at(latencies.get(other ?? '') ?? [], 0.5).toFixed(2)} ms ` +
      `(same broker: ${at(latencies.get(same ?? '') ?? [], 0.5).toFixed(2)} ms); ` +
      `${cost.toFixed(2)} times the local fan-out of a broker alone`,
  )
  console.log(`\n${'route'.padEnd(40)}deliveries/s    median ms    p99 ms`)
  for (const { name } of routes) {
    const sorted = latencies.get(name)
    const times = sorted ? [at(sorted, 0.5), at(sorted, 0.99)] : []
    const [median = '', p99 = ''] = times.map((ms) => ms.toFixed(2))
    console.log(
      `${name.padEnd(40)}${rate(name).toFixed(0).padStart(12)}${median.padStart(13)}${p99.padStart(10)}`,
    )
  }
}

/** The value below which such a share lies. */
function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main()
