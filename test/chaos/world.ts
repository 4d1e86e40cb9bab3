import { startProgram, type Program } from '../helpers/process.ts'
import { startRedis, type RedisServer } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { GRACE } from './bounds.ts'
import { layLine, type Line } from './line.ts'
import type { Topology } from './options.ts'
import { PARTS } from './plan.ts'

/** A process of the program that can be started again. */
export interface Node {
  readonly name: string
  /** Undefined while it is not running. */
  readonly program: Program | undefined
  readonly mqttPort: number
  readonly httpPort: number
  /** Resolves when it is ready, however often it has to be tried. */
  start(): Promise<void>
}

/** Everything of ours that runs, and can be broken. */
export interface World {
  readonly topology: Topology
  /** Where clients connect: a server or a broker. */
  readonly brokers: readonly Node[]
  readonly bridges: readonly Node[]
  readonly redis: RedisServer | undefined
  readonly lines: readonly Line[]
}

/** How often a process that does not start is tried again, and how long in between, in milliseconds. */
const ATTEMPTS = 40
const RETRY_MS = 500

const FLAGS: readonly string[] = Object.entries(GRACE).flatMap(([cause, ms]) => [
  `--grace-${cause}`,
  `${ms}ms`,
])

/** Starts everything; it is stopped at the end of the test. */
export async function startWorld(topology: Topology): Promise<World> {
  const counts = PARTS[topology]
  const redis = counts.redis > 0 ? await startRedis() : undefined
  if (redis) onTeardown(() => redis.close())
  const lines: Line[] = []

  async function layTo(portOf: () => number): Promise<number> {
    const line = await layLine(portOf)
    lines.push(line)
    return line.port
  }

  const toRedis = async (): Promise<string[]> =>
    redis ? ['--redis', `redis://127.0.0.1:${await layTo(() => redis.port)}`] : []

  const brokers: Node[] = []
  for (let i = 0; i < counts.server + counts.broker; i++) {
    if (topology === 'bridges') brokers.push(createNode('broker', 'broker', []))
    else if (topology === 'single') brokers.push(createNode('server', undefined, FLAGS))
    else {
      const flags = ['--cluster', 'yes', ...(await toRedis())]
      brokers.push(createNode(`server ${i}`, undefined, [...FLAGS, ...flags]))
    }
  }
  const redisOfBridges: string[][] = []
  for (let i = 0; i < counts.bridge; i++) redisOfBridges.push(await toRedis())
  const bridges: Node[] = []
  for (const [i, flags] of redisOfBridges.entries()) {
    const broker = brokers[i % brokers.length]
    const port = await layTo(() => broker?.mqttPort ?? 0)
    const to = ['--broker', `mqtt://127.0.0.1:${port}`, '--bridge-id', `bridge-${i}`]
    bridges.push(createNode(`bridge ${i}`, 'bridge', [...FLAGS, ...to, ...flags]))
  }
  await Promise.all(brokers.map((node) => node.start()))
  await Promise.all(bridges.map((node) => node.start()))
  return { topology, brokers, bridges, redis, lines }
}

function createNode(
  name: string,
  command: 'broker' | 'bridge' | undefined,
  flags: readonly string[],
): Node {
  let program: Program | undefined
  let ports = { mqttPort: 0, httpPort: 0 }
  return {
    name,
    get program() {
      return program
    },
    get mqttPort() {
      return ports.mqttPort
    },
    get httpPort() {
      return ports.httpPort
    },
    async start() {
      for (let attempt = 1; ; attempt++) {
        try {
          const started = await startProgram({ ...(command && { command }), flags })
          ports = { mqttPort: started.mqttPort, httpPort: started.httpPort }
          program = started
          void started.exited.then(() => {
            if (program === started) program = undefined
            return undefined
          })
          return
        } catch (error) {
          // What it needs may be broken just now.
          if (attempt === ATTEMPTS) throw error
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        }
      }
    },
  }
}
