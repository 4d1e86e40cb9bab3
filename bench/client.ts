/*
 * The browser client in a real Chromium: how long from connectPresence() to online, by where the connection
 * runs; what mqtt.js costs in the worker's start; and how 1,000 clients come back to a broker that was started
 * again. Needs Chromium and the built package.
 */
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { startBrowser } from '../test/client/browser.ts'
import { isOnline } from '../test/client/page-state.ts'
import { startCrowd } from '../test/client/crowd.ts'
import { startSite, type Site } from '../test/client/site.ts'
import { startProgram } from '../test/helpers/process.ts'
import { inScenario } from '../test/helpers/teardown.ts'
import { eventually } from '../test/helpers/within.ts'

const ROUNDS = 15
const CLIENTS = 1000
const GONE_MS = [5000, 15_000]

const WAYS = {
  'shared worker': { worker: 'shared' },
  'dedicated worker': { worker: 'dedicated' },
  'the page itself': { worker: 'page' },
  'inline worker': {
    worker: 'dedicated',
    client: '/client.inline.js',
    csp: `default-src 'self'; worker-src blob:`,
  },
} as const

/** What a page measures of its own start, in milliseconds. */
interface Cost {
  readonly import: number
  readonly connect: number
  readonly online: number
}

/** Measures, and prints the headline and the figures. */
export async function main(): Promise<void> {
  await inScenario(measureStart)
  for (const goneMs of GONE_MS) await inScenario(() => measureReturn(goneMs))
}

async function measureStart(): Promise<void> {
  const program = await startProgram()
  const site = await startSite(program.httpPort)
  const browser = await startBrowser()
  const costs = new Map<string, Cost[]>()
  // The first round fills the browser's cache, and is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [way, options] of Object.entries(WAYS)) {
      const page = await browser.open(site.page({ ...options, user: `${options.worker}-${round}` }))
      await isOnline(page)
      if (round > 0) note(costs, way, await costOf(page))
      if (options.worker === 'shared') {
        await page.reload()
        await isOnline(page)
        if (round > 0) note(costs, 'shared worker, reload', await costOf(page))
      }
      await page.close()
    }
  }
  const shared = median(of(costs, 'shared worker', 'online'))
  const dedicated = median(of(costs, 'dedicated worker', 'online'))
  console.log(
    `client: online ${shared.toFixed(0)} ms after connectPresence() with a shared worker, ${dedicated.toFixed(0)} ms with a dedicated one`,
  )
  console.log(`\nms, median of ${ROUNDS} (worst)     online          the call itself`)
  for (const way of costs.keys()) {
    const [online, connect] = [of(costs, way, 'online'), of(costs, way, 'connect')]
    console.log(`${way.padEnd(26)} ${show(online).padStart(14)} ${show(connect).padStart(16)}`)
  }
  const page = await browser.open(`${site.origin}/other`)
  site.serve('/empty.js', 'text/javascript', `postMessage({ type: 'ready' })`)
  const [full, empty] = [
    await workerStart(page, '/client.worker.js'),
    await workerStart(page, '/empty.js'),
  ]
  console.log(`\na worker starts: with mqtt.js ${show(full)} ms, an empty one ${show(empty)} ms\n`)
}

function costOf(page: Page): Promise<Cost> {
  return page.evaluate('cost') as Promise<Cost>
}

function note(costs: Map<string, Cost[]>, way: string, cost: Cost): void {
  costs.set(way, [...(costs.get(way) ?? []), cost])
}

function of(costs: ReadonlyMap<string, readonly Cost[]>, way: string, what: keyof Cost): number[] {
  return (costs.get(way) ?? []).map((cost) => cost[what])
}

/** From `new Worker` to its first word, for one after the other. */
function workerStart(page: Page, script: string): Promise<number[]> {
  return page.evaluate(`(async () => {
    const took = []
    for (let i = 0; i <= ${ROUNDS}; i++) {
      const began = performance.now()
      const worker = new Worker(${JSON.stringify(script)}, { type: 'module' })
      await new Promise((resolve) => worker.addEventListener('message', resolve))
      if (i > 0) took.push(performance.now() - began)
      worker.terminate()
    }
    return took
  })()`) as Promise<number[]>
}

async function measureReturn(goneMs: number): Promise<void> {
  const first = await startProgram()
  const site = await startSite(first.httpPort)
  const crowd = startCrowd(mqttOf(site), CLIENTS)
  await eventually('all are online', () => crowd.online.size === CLIENTS, 60_000)
  const killed = performance.now()
  first.kill('SIGKILL')
  await eventually('none is', () => crowd.online.size === 0, 10_000)
  const second = await startProgram()
  const wait = goneMs - (performance.now() - killed)
  await new Promise((resolve) => setTimeout(resolve, wait))
  site.setTarget(second.httpPort)
  const back = performance.now()
  await eventually('all are online again', () => crowd.online.size === CLIENTS, 60_000)
  const arrivals = [...crowd.online.values()].map((at) => at - back).toSorted((a, b) => a - b)
  const at = (share: number): string =>
    `${((arrivals[Math.floor((CLIENTS - 1) * share)] ?? 0) / 1000).toFixed(1)} s`
  const gone = ((back - killed) / 1000).toFixed(0)
  console.log(
    `${CLIENTS} clients, a broker gone for ${gone} s: a tenth is back after ${at(0.1)}, half after ${at(0.5)}, nine tenths after ${at(0.9)}, the last after ${at(1)}; at most ${busiest(arrivals)} within 100 ms`,
  )
}

function mqttOf({ origin }: Site): string {
  return `${origin.replace('http', 'ws')}/mqtt`
}

/** The most that arrive within one tenth of a second. */
function busiest(arrivals: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const at of arrivals) {
    const slot = Math.floor(at / 100)
    counts.set(slot, (counts.get(slot) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function show(values: readonly number[]): string {
  return `${median(values).toFixed(1)} (${Math.max(...values).toFixed(1)})`
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await main()
