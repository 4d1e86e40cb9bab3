/*
 * One publisher, 500 subscribers, 120 bytes at QoS 0: deliveries a second, and for each second of the
 * broker's processor time. Ours is the broker as it is used, presence included; Aedes and Mosquitto
 * are measured beside it, in rounds that alternate, each in a process of its own.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { freePort } from '../test/helpers/free-port.ts'
import type { Ports } from './fanout-broker.ts'
import type { LoadRequest, LoadResult } from './fanout-load.ts'
import type { Transport } from './fanout-reader.ts'

const ROUNDS = 3
const ROUND_MS = 1000
/** Messages on their way at a time in a stream of them. */
const STREAM = 40
const WINDOWS = [STREAM, 1]
const MOSQUITTO = '/usr/sbin/mosquitto'
/** Linux counts processor time in these, in milliseconds. */
const TICK_MS = 10

/** A running broker. */
interface Contestant {
  readonly name: string
  readonly ports: Ports
  /** Its processor time so far, in milliseconds. */
  cpuMs(): Promise<number>
  stop(): Promise<void>
}

/** One figure of a round. */
interface Round {
  readonly perSecond: number
  readonly perCpuSecond: number
  readonly framesPerPacket: number
}

/** Measures, and prints the headline and a table. */
export async function main(): Promise<void> {
  const load = startChild('./fanout-load.ts')
  const brokers = [await startNode('ours'), await startNode('aedes')]
  if (existsSync(MOSQUITTO)) brokers.push(await startMosquitto())
  try {
    const rounds = await measure(load, brokers)
    report(rounds)
  } finally {
    load.disconnect()
    for (const broker of brokers) await broker.stop()
  }
}

async function measure(load: ChildProcess, brokers: Contestant[]): Promise<Map<string, Round[]>> {
  const transports: Transport[] = ['websocket', 'tcp']
  const contests = transports.flatMap((transport) =>
    brokers.map((broker) => ({ broker, transport, group: `${broker.name} ${transport}` })),
  )
  for (const { broker, transport, group } of contests) {
    const { tcp: publisherPort, [transport]: port } = broker.ports
    await ask(load, { kind: 'connect', group, transport, port, publisherPort })
  }
  const rounds = new Map<string, Round[]>()
  for (let i = 0; i < ROUNDS; i++) {
    for (const window of WINDOWS) {
      for (const { broker, group } of contests) {
        if (i === 0) await ask(load, { kind: 'run', group, window, ms: ROUND_MS / 4 })
        const cpuBefore = await broker.cpuMs()
        const { deliveries, frames, ms } = await ask(load, {
          kind: 'run',
          group,
          window,
          ms: ROUND_MS,
        })
        const cpuMs = (await broker.cpuMs()) - cpuBefore
        const key = `${group} ${window}`
        rounds.set(key, [
          ...(rounds.get(key) ?? []),
          {
            perSecond: (deliveries / ms) * 1000,
            perCpuSecond: (deliveries / cpuMs) * 1000,
            framesPerPacket: frames / deliveries,
          },
        ])
      }
    }
  }
  return rounds
}

function report(rounds: ReadonlyMap<string, readonly Round[]>): void {
  const middle = (group: string, window: number, figure: keyof Round): number =>
    median((rounds.get(`${group} ${window}`) ?? []).map((round) => round[figure]))
  const ratio =
    middle('ours websocket', STREAM, 'perSecond') / middle('aedes websocket', STREAM, 'perSecond')
  console.log(
    `fanout: ${ratio.toFixed(1)}x of aedes over createWebSocketStream (500 readers, 120 bytes)`,
  )
  for (const window of WINDOWS) {
    const pace = window === 1 ? 'one message at a time' : `${window} messages on their way`
    console.log(`\n${pace}, median of ${ROUNDS}, in thousands:\n`)
    console.log(row(['', 'deliveries/s', 'a CPU second', 'frames a packet']))
    for (const key of rounds.keys()) {
      if (!key.endsWith(` ${window}`)) continue
      const group = key.slice(0, key.lastIndexOf(' '))
      const thousands = (figure: keyof Round): string =>
        (middle(group, window, figure) / 1000).toFixed(0)
      const frames = middle(group, window, 'framesPerPacket')
      console.log(
        row([
          group,
          thousands('perSecond'),
          thousands('perCpuSecond'),
          frames === 0 ? '' : frames.toFixed(2),
        ]),
      )
    }
  }
}

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(17))).join('')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function startChild(file: string, ...args: string[]): ChildProcess {
  const child = fork(new URL(file, import.meta.url), args, { execArgv: ['--import', 'tsx'] })
  child.once('exit', (code) => {
    if (code) throw new Error(`${file} has ended with ${code}`)
  })
  return child
}

/** Sends a request to a child and waits for its one answer. */
async function ask(load: ChildProcess, request: LoadRequest): Promise<LoadResult> {
  load.send(request)
  const [result] = (await once(load, 'message')) as [LoadResult]
  return result
}

async function startNode(kind: 'ours' | 'aedes'): Promise<Contestant> {
  const child = startChild('./fanout-broker.ts', kind)
  const [ports] = (await once(child, 'message')) as [Ports]
  return {
    name: kind,
    ports,
    async cpuMs() {
      child.send('usage')
      const [microseconds] = (await once(child, 'message')) as [number]
      return microseconds / 1000
    },
    async stop() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

async function startMosquitto(): Promise<Contestant> {
  const ports = { tcp: await freePort(), websocket: await freePort() }
  const folder = await mkdtemp(join(tmpdir(), 'fanout-'))
  const file = join(folder, 'mosquitto.conf')
  await writeFile(
    file,
    [
      `listener ${ports.tcp} 127.0.0.1`,
      `listener ${ports.websocket} 127.0.0.1`,
      'protocol websockets',
      'allow_anonymous true',
      'set_tcp_nodelay true',
      'max_queued_messages 0',
      'log_type error',
      '',
    ].join('\n'),
  )
  const child = spawn(MOSQUITTO, ['-c', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  process.once('exit', () => child.kill())
  await Promise.all([answers(ports.tcp), answers(ports.websocket)])
  return {
    name: 'mosquitto',
    ports,
    cpuMs: async () => {
      // Fields 14 and 15, counted from behind the name, which may hold anything.
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS
    },
    async stop() {
      child.kill()
      await once(child, 'exit')
      await rm(folder, { recursive: true })
    },
  }
}

/** Resolves when something listens on a port. */
async function answers(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await pause(50)
  }
  throw new Error(`nothing listens on ${port}`)
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main()
