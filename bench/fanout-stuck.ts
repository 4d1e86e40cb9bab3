/*
 * A reader that stops reading, in a stream of messages for it and for ten others: how long the others wait
 * for a message at worst, from its publication on, until the stuck one is cut. The broker is in a process
 * of its own; everybody else is in this one, whose own delays are part of the figure.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import { pathToFileURL } from 'node:url'
import { generate, parser, type Packet } from 'mqtt-packet'
import type { Ports } from './fanout-broker.ts'

const ROUNDS = 5
const READERS = 10
const PAYLOAD_BYTES = 4096
/** Messages on their way at a time. */
const WINDOW = 20

type QoS = 0 | 1
type Version = 4 | 5

interface Round {
  readonly worstMs: number
  readonly seconds: number
  readonly messages: number
}

/** Measures, and prints the headline and a table. */
export async function main(): Promise<void> {
  const broker = fork(new URL('fanout-broker.ts', import.meta.url), ['unlimited'], {
    execArgv: ['--import', 'tsx'],
  })
  const [ports] = (await once(broker, 'message')) as [Ports]
  const rows: string[] = []
  let worst = 0
  for (const version of [4, 5] as const) {
    for (const qos of [0, 1] as const) {
      const rounds: Round[] = []
      // The first round is for the compiler.
      for (let round = -1; round < ROUNDS; round++) {
        const one = await measure(ports.tcp, version, qos)
        if (round >= 0) rounds.push(one)
      }
      const all = rounds.map(({ worstMs }) => worstMs).toSorted((one, other) => one - other)
      worst = Math.max(worst, ...all)
      const { seconds = 0, messages = 0 } = rounds[0] ?? {}
      rows.push(
        `version ${version}, QoS ${qos}: ${all.map((ms) => ms.toFixed(0)).join(', ')} ms; cut after ${messages} messages, ${seconds.toFixed(2)} s`,
      )
    }
  }
  broker.disconnect()
  await once(broker, 'exit')
  console.log(`beside a stuck reader: the others waited ${worst.toFixed(0)} ms at worst`)
  console.log(`\nworst delay in each of ${ROUNDS} rounds, ${READERS} readers:\n`)
  for (const row of rows) console.log(row)
}

async function measure(port: number, version: Version, qos: QoS): Promise<Round> {
  const publisher = await open(port, version, () => {})
  const sentAt: number[] = []
  let worstMs = 0
  let delivered = 0
  const readers = await Promise.all(
    Array.from({ length: READERS }, () =>
      open(port, version, (packet, socket) => {
        if (packet.cmd !== 'publish') return
        if (packet.qos === 1) {
          socket.write(generate({ cmd: 'puback', messageId: packet.messageId ?? 0 }))
        }
        const number = (packet.payload as Buffer).readUInt32BE(0)
        worstMs = Math.max(worstMs, performance.now() - (sentAt[number] ?? 0))
        if (++delivered % READERS === 0) publish()
      }),
    ),
  )
  const stuck = await open(port, version, () => {})
  let isCut = false
  stuck.once('close', () => (isCut = true))
  await Promise.all([...readers, stuck].map((socket) => subscribe(socket, version, qos)))
  stuck.pause()

  const startedAt = performance.now()
  function publish(): void {
    const payload = Buffer.alloc(PAYLOAD_BYTES)
    payload.writeUInt32BE(sentAt.length, 0)
    const messageId = 1 + (sentAt.length % 65_535)
    sentAt.push(performance.now())
    const flags = { retain: false, dup: false } as const
    publisher.write(
      generate(
        { cmd: 'publish', topic: 'n', payload, qos, ...(qos && { messageId }), ...flags },
        { protocolVersion: version },
      ),
    )
  }
  for (let i = 0; i < WINDOW; i++) publish()
  // A paused socket does not tell that it was cut; a write to it does.
  while (!isCut) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    stuck.write(Buffer.from([0xc0, 0]))
  }
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of [publisher, ...readers, stuck]) socket.destroy()
  return { worstMs, seconds, messages: sentAt.length }
}

async function open(
  port: number,
  version: Version,
  onPacket: (packet: Packet, socket: Socket) => void,
): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const packets = parser({ protocolVersion: version })
  socket.on('error', () => {})
  socket.on('data', (bytes) => packets.parse(bytes))
  socket.write(
    generate(
      {
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: version,
        clean: true,
        clientId: Math.random().toString(36),
        keepalive: 0,
        ...(version === 5 && { properties: { receiveMaximum: 65_535 } }),
      },
      { protocolVersion: version },
    ),
  )
  await new Promise((resolve) => packets.once('packet', resolve))
  packets.on('packet', (packet) => {
    if (packet.cmd === 'suback') socket.emit('suback')
    onPacket(packet, socket)
  })
  return socket
}

async function subscribe(socket: Socket, version: Version, qos: QoS): Promise<void> {
  const subscriptions = [{ topic: 'n', qos }]
  const granted = once(socket, 'suback')
  socket.write(
    generate({ cmd: 'subscribe', messageId: 1, subscriptions }, { protocolVersion: version }),
  )
  await granted
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main()
