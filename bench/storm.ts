/*
 * A join storm on the real program: a thousand members join one room within five seconds, then all
 * their sockets are cut at once. How many messages a reader of the room gets, when the last of them is
 * offline, and how long the server's event loop stood still.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { argv, execPath } from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { parseRoomDiff, parseTopic } from '../protocol/index.ts'
import { connectRaw, type RawClient } from './raw-client.ts'

const MEMBERS = 1000
const WITHIN_MS = 5000
const GRACE_MS = 3000

/** Measures, and prints the headline and the figures. */
export async function main(): Promise<void> {
  const server = await startServer()
  try {
    await measure(server)
  } finally {
    server.stop()
  }
}

async function measure({ mqttPort, httpPort }: Server): Promise<void> {
  const reader = await connectRaw(mqttPort, 'reader')
  let diffs = 0
  let bytes = 0
  let size = 0
  const offline = new Map<string, number>()
  reader.subscribe('presence/#', (topic, payload) => {
    const parsed = parseTopic('presence', topic)
    if (parsed?.kind === 'roomEvents') {
      diffs++
      bytes += payload.length
      size = parseRoomDiff(payload.toString())?.size ?? size
    } else if (parsed?.kind === 'userStatus' && payload.toString() === 'offline') {
      offline.set(parsed.user, performance.now())
    }
  })

  const joining = performance.now()
  const members: RawClient[] = []
  for (let i = 0; i < MEMBERS; i++) {
    const name = `member-${i}`
    const member = await connectRaw(mqttPort, name)
    member.publish(
      `presence/connections/${name}/${name}`,
      JSON.stringify({ status: 'online', rooms: { hall: { seat: i } } }),
    )
    members.push(member)
    const ahead = joining + ((i + 1) * WITHIN_MS) / MEMBERS - performance.now()
    if (ahead > 0) await sleep(ahead)
  }
  const joinedMs = performance.now() - joining
  await until(() => size === MEMBERS, 10_000)
  const joinDiffs = diffs
  const joinBytes = bytes
  const joinStallMs = await maxLoopDelay(httpPort)

  const cut = performance.now()
  for (const member of members) member.cut()
  await until(() => offline.size === MEMBERS && size === 0, 30_000)
  const times = [...offline.values()].map((at) => at - cut).toSorted((a, b) => a - b)
  const lastMs = times.at(-1) ?? Number.NaN
  const cutStallMs = await maxLoopDelay(httpPort)

  console.log(
    `storm: ${joinDiffs} diffs for ${MEMBERS} joins in ${(joinedMs / 1000).toFixed(1)} s; ` +
      `all offline ${((lastMs - GRACE_MS) / 1000).toFixed(2)} s after the grace`,
  )
  console.log('')
  console.log(`diffs that a reader got while ${MEMBERS} joined   ${joinDiffs} (${joinBytes} bytes)`)
  console.log(`diffs while all left                         ${diffs - joinDiffs}`)
  console.log(
    `first offline after the cut                  ${((times[0] ?? 0) / 1000).toFixed(2)} s (grace ${GRACE_MS / 1000} s)`,
  )
  console.log(`last offline after the cut                   ${(lastMs / 1000).toFixed(2)} s`)
  console.log(`longest event-loop stall while joining       ${joinStallMs.toFixed(0)} ms`)
  console.log(`longest event-loop stall while leaving       ${cutStallMs.toFixed(0)} ms`)
}

interface Server {
  readonly mqttPort: number
  readonly httpPort: number
  stop(): void
}

async function startServer(): Promise<Server> {
  const args = [
    'dist/server/cli.js',
    '--mqtt-port',
    '0',
    '--http-port',
    '0',
    '--log-level',
    'error',
  ]
  const child = spawn(execPath, [...args, '--grace-closed', `${GRACE_MS}ms`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ports: number[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^\s*(?:MQTT|HTTP)\s+\w+:\/\/[\d.]+:(\d+)/.exec(line)?.[1]
    if (port) ports.push(Number(port))
    if (line.startsWith('ready')) break
  }
  const [mqttPort, httpPort] = ports
  if (mqttPort === undefined || httpPort === undefined) {
    child.kill()
    await once(child, 'exit')
    throw new Error('the server did not say where it listens; was it built?')
  }
  return { mqttPort, httpPort, stop: () => child.kill() }
}

/** The longest delay of the server's event loop since this was asked last, in milliseconds. */
async function maxLoopDelay(httpPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text()
  const seconds = /^process_event_loop_delay_max_seconds (\S+)$/m.exec(text)?.[1]
  if (seconds === undefined) throw new Error('the server does not tell its event-loop delay')
  return Number(seconds) * 1000
}

async function until(isTrue: () => boolean, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`not reached within ${withinMs} ms`)
    await sleep(5)
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await main()
