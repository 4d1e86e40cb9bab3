/*
 * What the gate costs: the same broker (Aedes, our fan-out, our store, our listener) with the gate and
 * without, each in a process of its own. One publisher and one subscriber, QoS 0 and 1, and connects. The
 * headline is the worst of the three, by what a second of the broker's processor gives: that is what
 * bounds its throughput, and it holds on a machine that has other things to do, too.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { argv, cpuUsage } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { Aedes } from 'aedes'
import { generate } from 'mqtt-packet'

import type { AedesClient } from '../broker/aedes-internals.ts'
import { createFanoutEmitter } from '../broker/fanout/emitter.ts'
import { createGate } from '../broker/gate/gate.ts'
import { MemoryPersistence } from '../broker/persistence/memory-persistence.ts'
import { createTcpListener } from '../broker/transport/tcp-listener.ts'
import { systemClock } from '../runtime/clock.ts'

const ROUNDS = 9
const MESSAGES = { 0: 60_000, 1: 20_000 } as const
const CONNECTS = 600
const PAYLOAD = Buffer.alloc(120, 'x')
const TOPIC = 'presence/rooms/lobby/events'
/** PUBLISHes that may wait for their PUBACK. */
const WINDOW = 500
const CONCURRENT_CONNECTS = 16

type Kind = 'QoS 0' | 'QoS 1' | 'connects'

/** A broker in a process of its own. */
interface Contestant {
  readonly name: 'gated' | 'bare'
  readonly port: number
  /** The processor time that it has used, in microseconds. */
  cpu(): Promise<number>
  stop(): void
}

/** Measures, and prints the headline and a table. */
export async function main(): Promise<void> {
  const contestants = await Promise.all([start('gated'), start('bare')])
  const rates = new Map<string, number[]>()
  const loads = new Map<string, number[]>()
  // The first rounds are for the compiler.
  for (let round = -3; round < ROUNDS; round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      for (const [kind, measure] of MEASUREMENTS) {
        const cpu = await contestant.cpu()
        const { count, seconds } = await measure(contestant.port)
        if (round < 0) continue
        const key = `${contestant.name} ${kind}`
        rates.set(key, [...(rates.get(key) ?? []), count / seconds])
        const used = ((await contestant.cpu()) - cpu) / count
        loads.set(key, [...(loads.get(key) ?? []), used])
      }
    }
  }
  for (const contestant of contestants) contestant.stop()

  const worst = Math.max(
    ...MEASUREMENTS.map(([kind]) => cost(loads, kind, (gated, bare) => 1 - bare / gated)),
  )
  console.log(`gate: costs ${worst.toFixed(0)}% of throughput`)
  console.log(
    `\nmedians of ${ROUNDS} rounds; processor time of the broker, in microseconds each:\n`,
  )
  console.log(row(['', 'bare/s', 'gated/s', 'cost', 'bare us', 'gated us', 'cost']))
  for (const [kind] of MEASUREMENTS) {
    const cells = [
      kind,
      median(rates.get(`bare ${kind}`)).toFixed(0),
      median(rates.get(`gated ${kind}`)).toFixed(0),
      `${cost(rates, kind, (gated, bare) => 1 - gated / bare).toFixed(1)}%`,
      median(loads.get(`bare ${kind}`)).toFixed(1),
      median(loads.get(`gated ${kind}`)).toFixed(1),
      `${cost(loads, kind, (gated, bare) => 1 - bare / gated).toFixed(1)}%`,
    ]
    console.log(row(cells))
  }
}

const MEASUREMENTS: readonly (readonly [Kind, (port: number) => Promise<Measured>])[] = [
  ['QoS 0', (port) => relay(port, 0)],
  ['QoS 1', (port) => relay(port, 1)],
  ['connects', connects],
]

interface Measured {
  readonly count: number
  readonly seconds: number
}

/** One publisher sends as fast as it may to one subscriber, which acknowledges what asks for it. */
async function relay(port: number, qos: 0 | 1): Promise<Measured> {
  const publisher = await connectClient(port, 'publisher')
  const subscriber = await connectClient(port, 'subscriber')
  const subscriptions = [{ topic: TOPIC, qos }]
  subscriber.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions }))
  await once(subscriber, 'data')

  const packet = generate({
    cmd: 'publish',
    topic: TOPIC,
    payload: PAYLOAD,
    qos,
    messageId: 1,
    retain: false,
    dup: false,
  })
  const count = MESSAGES[qos]
  const received = receiveAll(subscriber, packet.length, count, qos)
  const begun = performance.now()
  await (qos === 0 ? sendAll(publisher, packet, count) : sendWindowed(publisher, packet, count))
  await received
  const seconds = (performance.now() - begun) / 1000
  publisher.destroy()
  subscriber.destroy()
  return { count, seconds }
}

async function sendAll(publisher: Socket, packet: Buffer, count: number): Promise<void> {
  const batch = Buffer.concat(Array.from({ length: 100 }, () => packet))
  for (let sent = 0; sent < count; sent += 100) {
    if (!publisher.write(batch)) await once(publisher, 'drain')
  }
}

async function sendWindowed(publisher: Socket, packet: Buffer, count: number): Promise<void> {
  const idAt = packet.length - PAYLOAD.length - 2
  let sent = 0
  let acknowledged = 0

  function send(most: number): void {
    const batch = Array.from({ length: Math.min(most, count - sent) }, () => {
      const copy = Buffer.from(packet)
      copy.writeUInt16BE((sent++ % 65_535) + 1, idAt)
      return copy
    })
    if (batch.length > 0) publisher.write(Buffer.concat(batch))
  }

  await new Promise<void>((resolve) => {
    let bytes = 0
    publisher.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      const before = acknowledged
      acknowledged = Math.floor(bytes / 4)
      send(acknowledged - before)
      if (acknowledged === count) resolve()
    })
    send(WINDOW)
  })
}

function receiveAll(subscriber: Socket, size: number, count: number, qos: 0 | 1): Promise<void> {
  const idAt = size - PAYLOAD.length - 2
  let rest: Buffer = Buffer.alloc(0)
  let received = 0
  return new Promise((resolve) => {
    subscriber.on('data', (chunk: Buffer) => {
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
      const packets = Math.floor(bytes.length / size)
      if (qos === 1) {
        const acknowledgements = Buffer.alloc(packets * 4)
        for (let i = 0; i < packets; i++) {
          acknowledgements.writeUInt16BE(0x4002, i * 4)
          bytes.copy(acknowledgements, i * 4 + 2, i * size + idAt, i * size + idAt + 2)
        }
        subscriber.write(acknowledgements)
      }
      rest = bytes.subarray(packets * size)
      received += packets
      if (received === count) resolve()
    })
  })
}

/** Clients that connect and are gone again. */
async function connects(port: number): Promise<Measured> {
  let started = 0
  async function keepConnecting(lane: number): Promise<void> {
    while (started++ < CONNECTS) (await connectClient(port, `lane${lane}`)).resetAndDestroy()
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: CONCURRENT_CONNECTS }, (_, lane) => keepConnecting(lane)))
  return { count: CONNECTS, seconds: (performance.now() - begun) / 1000 }
}

async function connectClient(port: number, clientId: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.write(generate({ cmd: 'connect', clientId, keepalive: 60, clean: true }))
  await once(socket, 'data')
  return socket
}

async function start(name: Contestant['name']): Promise<Contestant> {
  const child = fork(fileURLToPath(import.meta.url), ['broker', name])
  const port = await ask(child)
  return {
    name,
    port,
    cpu: async () => {
      child.send('cpu')
      return ask(child)
    },
    stop: () => void child.kill(),
  }
}

async function ask(child: ChildProcess): Promise<number> {
  const [answer] = await once(child, 'message')
  return answer as number
}

/** What runs in the process of a contestant. */
async function runBroker(isGated: boolean): Promise<void> {
  const mq = createFanoutEmitter()
  const aedes = new Aedes({ mq, persistence: new MemoryPersistence(), drainTimeout: 0 })
  aedes.preConnect = (client, _packet, callback) => {
    mq.adopt(client)
    callback(null, true)
  }
  await aedes.listen()
  const gate = createGate({
    clock: systemClock,
    maxPacketSize: 1024 * 1024,
    maxConnectSize: 64 * 1024,
    connectTimeoutMs: 10_000,
    packetTimeoutMs: 10_000,
    maxTopicLevels: 32,
    topicAliasMaximum: 100,
    expects: (client, packet) => mq.expects(client, packet),
    onHeard: () => {},
    onRefused: (_client, { kind }) => {
      throw new Error(`refused: ${kind}`)
    },
    onError: (error) => {
      throw error
    },
  })
  const tcp = createTcpListener({
    onConnection(socket) {
      const client = aedes.handle(socket)
      if (isGated) gate.admit(client as AedesClient)
    },
  })
  process.send?.(await tcp.listen(0, '127.0.0.1'))
  process.on('message', () => {
    const { user, system } = cpuUsage()
    process.send?.(user + system)
  })
}

/** The median of what each round cost, in percent. */
function cost(
  values: ReadonlyMap<string, readonly number[]>,
  kind: Kind,
  compare: (gated: number, bare: number) => number,
): number {
  const bare = values.get(`bare ${kind}`) ?? []
  const gated = values.get(`gated ${kind}`) ?? []
  return 100 * median(gated.map((value, round) => compare(value, bare[round] ?? NaN)))
}

function median(values: readonly number[] = []): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(10) : cell.padStart(11))).join('')
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  await (argv[2] === 'broker' ? runBroker(argv[3] === 'gated') : main())
}
