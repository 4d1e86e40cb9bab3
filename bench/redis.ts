/*
 * What presence in Redis costs: transitions a second with one bridge and with two, round trips between an
 * input and its publication, and memory for each online user, from 1,000 users up to 20,000, or with
 * `--full` 200,000. The broker is left out: documents are handed to the bridge, publications counted.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createBridge, createRedisStore, type Bridge, type LinkHandlers } from '../bridge/index.ts'
import { startRedis, type RedisServer } from '../test/helpers/redis.ts'

const SCRIPT = fileURLToPath(import.meta.url)
const ROOM_SIZE = 20
const DELAY_MS = 25

/** What a bridge of its own process is asked to do, and what it answers: the milliseconds that it took. */
interface Task {
  readonly from: number
  readonly to: number
  readonly status: 'online' | 'offline'
}

/** Measures, and prints the headline and a table. */
export async function main(): Promise<void> {
  const sizes = argv.includes('--full') ? [1000, 10_000, 50_000, 200_000] : [1000, 5000, 20_000]
  const roundTrips = await measureRoundTrips()
  const one = await measureRate(1, false)
  const halves = await measureRate(2, false)
  const both = await measureRate(2, true)
  console.log(
    `redis: ${one} transitions/s with one bridge, ${halves} with two that share the users; ` +
      `${roundTrips.user.toFixed(1)} round trips to a user's publication`,
  )
  console.log('')
  console.log(`transitions/s, one bridge                           ${one}`)
  console.log(`transitions/s, two bridges, each half of the users  ${halves}`)
  console.log(`transitions/s, two bridges that both read all       ${both}`)
  console.log(`round trips, input to the user's publication        ${roundTrips.user.toFixed(2)}`)
  console.log(`round trips, input to the room's publication        ${roundTrips.room.toFixed(2)}`)
  await measureGrowth(sizes)
}

async function startPlainRedis(): Promise<RedisServer> {
  return startRedis('--appendonly', 'no')
}

/** A bridge whose broker is this process. */
interface Stage {
  readonly bridge: Bridge
  say(task: Task): Promise<void>
  onPublish(listener: (topic: string) => void): void
}

async function startStage(url: string, id: string): Promise<Stage> {
  const store = await createRedisStore({ url })
  let handlers: LinkHandlers | undefined
  let listener: (topic: string) => void = () => {}
  const bridge = await createBridge({
    id,
    store,
    link: {
      readRetained: async () => [],
      async open(_, given) {
        handlers = given
        await given.onUp(true)
      },
      async publish(topic) {
        listener(topic)
      },
      async close() {},
    },
  })
  while (!bridge.ready) await sleep(5)
  return {
    bridge,
    onPublish(given) {
      listener = given
    },
    async say({ from, to, status }) {
      for (let i = from; i < to; i++) {
        const room = `room-${Math.floor(i / ROOM_SIZE)}`
        const document =
          status === 'online'
            ? { status, connection: `c${i}`, rooms: { [room]: { name: `Name ${i}` } } }
            : { status, reason: 'left' }
        const payload = Buffer.from(JSON.stringify(document))
        const topic = `presence/connections/user-${i}/tab`
        await handlers?.onMessage({ topic, payload, retain: false })
      }
      while ((bridge.metrics()['waitingInputs'] ?? 0) > 0) await sleep(1)
    },
  }
}

/** Everybody comes and goes, in bridges of their own processes. */
async function measureRate(bridges: number, allReadAll: boolean): Promise<string> {
  const redis = await startPlainRedis()
  const users = 4000
  const share = allReadAll ? users : users / bridges
  const children = Array.from({ length: bridges }, (_, i) =>
    fork(SCRIPT, ['bridge', redis.url, `b${i}`], { execArgv: ['--import', 'tsx'] }),
  )
  try {
    await Promise.all(children.map((child) => once(child, 'message')))
    const begin = performance.now()
    await Promise.all(
      children.map(async (child, i) => {
        const from = allReadAll ? 0 : i * share
        for (const status of ['online', 'offline', 'online', 'offline'] as const) {
          const task: Task = { from, to: from + share, status }
          child.send(task)
          await once(child, 'message')
        }
      }),
    )
    return ((4 * users * 1000) / (performance.now() - begin)).toFixed(0)
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await redis.close()
  }
}

/** How long publications take behind a network that is slow, in round trips of it. */
async function measureRoundTrips(): Promise<{ user: number; room: number }> {
  const redis = await startPlainRedis()
  const proxy = createServer((near) => {
    const far = connect(redis.port, '127.0.0.1')
    near.on('data', (bytes) => setTimeout(() => far.write(bytes), DELAY_MS))
    far.on('data', (bytes) => setTimeout(() => near.write(bytes), DELAY_MS))
    near.on('close', () => far.destroy())
    for (const socket of [near, far]) socket.setNoDelay(true).on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  const stage = await startStage(`redis://127.0.0.1:${port}`, 'slow')
  const took = { user: [] as number[], room: [] as number[] }
  for (let i = 0; i < 20; i++) {
    const user = i * ROOM_SIZE
    const begin = performance.now()
    const published = new Promise<void>((resolve) => {
      stage.onPublish((topic) => {
        if (topic === `presence/users/user-${user}`) took.user.push(performance.now() - begin)
        if (topic !== `presence/rooms/room-${i}`) return
        took.room.push(performance.now() - begin)
        resolve()
      })
    })
    await Promise.all([stage.say({ from: user, to: user + 1, status: 'online' }), published])
  }
  const roundTrip = median(await timePings(port))
  await stage.bridge.close()
  proxy.close()
  await redis.close()
  return { user: median(took.user) / roundTrip, room: median(took.room) / roundTrip }
}

/** How long one round trip takes that way, in milliseconds. */
async function timePings(port: number): Promise<readonly number[]> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  const times: number[] = []
  for (let i = 0; i < 20; i++) {
    const begin = performance.now()
    socket.write('PING\r\n')
    await once(socket, 'data')
    times.push(performance.now() - begin)
  }
  socket.destroy()
  return times
}

/** How rate and memory change with the number of users that are online, in rooms of twenty. */
async function measureGrowth(sizes: readonly number[]): Promise<void> {
  const redis = await startPlainRedis()
  const stage = await startStage(redis.url, 'growing')
  const empty = await usedMemory(redis)
  console.log('\nonline users    transitions/s    Redis bytes/user')
  let online = 0
  for (const size of sizes) {
    const begin = performance.now()
    await stage.say({ from: online, to: size, status: 'online' })
    const rate = ((size - online) * 1000) / (performance.now() - begin)
    online = size
    // What waits for rooms and readers is not what is kept.
    await sleep(3000)
    const bytes = ((await usedMemory(redis)) - empty) / size
    console.log(
      `${String(size).padStart(12)}${rate.toFixed(0).padStart(17)}${bytes.toFixed(0).padStart(20)}`,
    )
  }
  await stage.bridge.close()
  await redis.close()
}

async function usedMemory(redis: RedisServer): Promise<number> {
  const info = await redis.command('INFO memory', 'used_memory_human')
  return Number(/used_memory:(\d+)/.exec(info)?.[1] ?? Number.NaN)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A bridge in a process of its own. */
async function runBridge(url: string, id: string): Promise<void> {
  const stage = await startStage(url, id)
  process.on('message', (task: Task) => {
    void stage.say(task).then(() => process.send?.('done'))
  })
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}

if (argv[2] === 'bridge') await runBridge(argv[3] ?? '', argv[4] ?? '')
else if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await main()
