/*
 * One user at every limit, at the same time: connections, messages, documents with as many rooms as fit,
 * subscriptions that reach everywhere, sessions, retained messages, and strangers who knock with wrong
 * passwords. Meanwhile two others talk: how late their messages come, at worst.
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process, { argv, execPath } from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet'
import { SignJWT } from 'jose'
import { hashPassword } from '../broker/index.ts'

const SECRET = 'a secret of this measurement, 32 bytes and more'
const CONNECTIONS = 100
const QUIET_MS = 3000
const ATTACK_MS = 10_000
const EVERY_MS = 20
const BOUND_MS = 200

/** Measures, and prints the headline and the figures. */
export async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'presence-limits-'))
  const users = join(folder, 'users.json')
  writeFileSync(users, JSON.stringify({ paul: { password: await hashPassword('a password') } }))
  const server = await startServer(users)
  try {
    await measure(server)
  } finally {
    server.stop()
    rmSync(folder, { recursive: true })
  }
}

async function measure({ mqttPort, httpPort }: Server): Promise<void> {
  const talk = await startTalk(mqttPort)
  await sleep(QUIET_MS)
  const quiet = talk.take()
  const attack = await forkAttack(mqttPort)
  talk.take()
  await sleep(ATTACK_MS)
  const attacked = talk.take()
  const { connections, reconnects, sent } = await attack.stop()
  const metrics = await readMetrics(httpPort)
  talk.stop()

  const worst = attacked.at(-1) ?? Number.NaN
  console.log(
    `limits: worst delay of others ${worst.toFixed(0)} ms while one user is at every limit ` +
      `(bound ${BOUND_MS} ms: ${worst < BOUND_MS ? 'kept' : 'BROKEN'})`,
  )
  console.log('')
  console.log(`delay of others, quiet       ${describe(quiet)}`)
  console.log(`delay of others, attacked    ${describe(attacked)}`)
  console.log(`attacker: connections ${connections}, reconnects ${reconnects}, sent ${sent}`)
  for (const name of [
    'connections',
    'floods_total',
    'refused_connects_total',
    'refused_connections_per_address_total',
    'refused_connects_per_second_total',
    'refused_user_connections_total',
    'refused_fast_connects_total',
    'refused_subscriptions_total',
    'refused_excess_subscriptions_total',
    'refused_retained_total',
    'refused_rooms_total',
    'dropped_from_sessions_total',
    'retained_outside',
    'rooms',
  ]) {
    console.log(`  ${name.padEnd(38)} ${metrics.get(`presence_broker_${name}`) ?? '-'}`)
  }
  if (worst >= BOUND_MS) process.exitCode = 1
}

interface Talk {
  /** The delays since this was asked last, in order. */
  take(): readonly number[]
  stop(): void
}

/** Bob changes his data, and Carol's presence of it, and a message of the application: both are timed. */
async function startTalk(port: number): Promise<Talk> {
  const bob = await enter(port, 'bob')
  const carol = await enter(port, 'carol')
  let delays: number[] = []
  let n = 0
  const sentAt = new Map<string, number>()
  carol.onMessage = (_topic, payload) => {
    const at = sentAt.get(payload)
    if (at === undefined) return
    sentAt.delete(payload)
    delays.push(performance.now() - at)
  }
  carol.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'app/talk', qos: 0 }] })
  carol.send({
    cmd: 'subscribe',
    messageId: 2,
    subscriptions: [{ topic: 'presence/rooms/talk/members/bob', qos: 0 }],
  })
  bob.say({ status: 'online', rooms: { talk: 0 } })
  await sleep(200)
  const timer = setInterval(() => {
    const payload = `m${++n}`
    sentAt.set(payload, performance.now())
    bob.publish('app/talk', payload)
  }, EVERY_MS)
  return {
    take() {
      // What has not come yet is late already.
      const open = [...sentAt.values()]
        .map((at) => performance.now() - at)
        .filter((ms) => ms > BOUND_MS)
      const taken = [...delays, ...open].toSorted((a, b) => a - b)
      delays = []
      return taken
    },
    stop() {
      clearInterval(timer)
      bob.socket.destroy()
      carol.socket.destroy()
    },
  }
}

/** What the attacker has come to. */
interface Report {
  readonly connections: number
  readonly reconnects: number
  readonly sent: number
}

/** In a process of its own, so that it does not hold up those who are measured. */
async function forkAttack(port: number): Promise<{ stop(): Promise<Report> }> {
  const child = fork(fileURLToPath(import.meta.url), ['--attack', String(port)], {
    execArgv: ['--import', 'tsx'],
  })
  await once(child, 'message')
  return {
    async stop() {
      child.send('stop')
      const [report] = (await once(child, 'message')) as [Report]
      child.kill()
      return report
    },
  }
}

async function startAttack(port: number): Promise<void> {
  const state = { connections: 0, reconnects: -CONNECTIONS, sent: 0 }

  async function keepOneUp(index: number): Promise<void> {
    for (;;) {
      try {
        state.reconnects++
        const mallory = await enter(port, 'mallory', { clean: index % 5 !== 0 })
        state.connections++
        const timer = setInterval(() => attackOnce(mallory, index), 50)
        prepare(mallory)
        await once(mallory.socket, 'close')
        clearInterval(timer)
        state.connections--
      } catch {
        await sleep(100)
      }
    }
  }

  /** As many filters as there may be, and more; they match everything, or make the broker look everywhere. */
  function prepare(mallory: Peer): void {
    const wide = Array.from({ length: 60 }, (_, n) => ({
      topic: `${'+/'.repeat(n % 8)}${n % 2 ? '#' : `none-${n}`}`,
      qos: 1 as const,
    }))
    mallory.send({ cmd: 'subscribe', messageId: 1, subscriptions: wide })
    const many = Array.from({ length: 500 }, (_, n) => ({ topic: `app/${n}/+`, qos: 0 as const }))
    mallory.send({ cmd: 'subscribe', messageId: 2, subscriptions: many })
  }

  let rooms = 0
  function attackOnce(mallory: Peer, index: number): void {
    if (mallory.socket.writableLength > 1024 * 1024) return
    for (let n = 0; n < 20; n++) {
      state.sent++
      const topic = `app/${index}/${state.sent % 20_000}`
      mallory.publish(topic, 'x'.repeat(500), n % 4 === 0)
    }
    if (index % 10 === 0) {
      const named = Array.from(
        { length: 100 },
        () => [`room-${(rooms = (rooms + 7) % 3000)}`, {}] as const,
      )
      mallory.say({ status: 'online', rooms: Object.fromEntries(named), data: rooms })
    }
    mallory.send({ cmd: 'pingreq' })
  }

  for (let index = 0; index < CONNECTIONS + 10; index++) void keepOneUp(index)
  setInterval(() => {
    for (let n = 0; n < 5; n++) {
      const password = Buffer.from(`guess ${Math.random()}`)
      void knock(port, { username: 'paul', password }).catch(() => {})
    }
  }, 50)
  await sleep(2000)
  process.send?.('ready')
  await once(process, 'message')
  process.send?.(state satisfies Report)
}

interface Peer {
  readonly socket: Socket
  onMessage: (topic: string, payload: string) => void
  send(packet: Packet): void
  publish(topic: string, payload: string, retain?: boolean): void
  say(document: object): void
}

let ids = 0

async function enter(
  port: number,
  user: string,
  asked: Partial<IConnectPacket> = {},
): Promise<Peer> {
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user)
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(SECRET))
  return knock(port, { username: user, password: Buffer.from(token), ...asked })
}

function knock(port: number, asked: Partial<IConnectPacket>): Promise<Peer> {
  // As from the internet: this machine's own address is not limited.
  const address = argv[2] === '--attack' ? '203.0.113.66' : '203.0.113.1'
  const clientId = `limit-${++ids}`
  const user = asked.username ?? clientId
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const parser = mqttPacket.parser()
    const peer: Peer = {
      socket,
      onMessage: () => {},
      send: (packet) => void socket.write(mqttPacket.generate(packet)),
      publish: (topic, payload, retain = false) =>
        peer.send({ cmd: 'publish', topic, payload, qos: 0, retain, dup: false }),
      say: (document) =>
        peer.publish(`presence/connections/${user}/${clientId}`, JSON.stringify(document)),
    }
    socket.on('connect', () => {
      socket.write(`PROXY TCP4 ${address} 127.0.0.1 1 1883\r\n`)
      peer.send({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        clientId,
        keepalive: 60,
        ...asked,
      })
    })
    socket.on('data', (bytes) => parser.parse(bytes))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connack') {
        if (packet.returnCode === 0) resolve(peer)
        else reject(new Error(String(packet.returnCode)))
      } else if (packet.cmd === 'publish') {
        peer.onMessage(packet.topic, String(packet.payload))
      }
    })
  })
}

interface Server {
  readonly mqttPort: number
  readonly httpPort: number
  stop(): void
}

async function startServer(users: string): Promise<Server> {
  const ports = ['--mqtt-port', '0', '--http-port', '0']
  const auth = [
    '--jwt-secret',
    SECRET,
    '--passwords',
    users,
    '--app-topics',
    'allow',
    '--trusted-proxy',
    '127.0.0.1',
  ]
  const child = spawn(execPath, ['dist/server/cli.js', ...ports, ...auth, '--log-level', 'error'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const found: number[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^\s*(?:MQTT|HTTP)\s+\w+:\/\/[\d.]+:(\d+)/.exec(line)?.[1]
    if (port) found.push(Number(port))
    if (line.startsWith('ready')) break
  }
  const [mqttPort, httpPort] = found
  if (mqttPort === undefined || httpPort === undefined) {
    child.kill()
    throw new Error('the server did not say where it listens; was it built?')
  }
  return { mqttPort, httpPort, stop: () => child.kill() }
}

async function readMetrics(httpPort: number): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text()
  return new Map(
    text.split('\n').map((line) => {
      const [name = '', value] = line.split(' ')
      return [name, Number(value)]
    }),
  )
}

function describe(delays: readonly number[]): string {
  const at = (part: number): string =>
    (delays[Math.min(delays.length - 1, Math.floor(delays.length * part))] ?? Number.NaN).toFixed(1)
  return `median ${at(0.5)} ms, 99 % ${at(0.99)} ms, worst ${at(1)} ms (${delays.length} messages)`
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  if (argv[2] === '--attack') await startAttack(Number(argv[3]))
  else await main()
}
