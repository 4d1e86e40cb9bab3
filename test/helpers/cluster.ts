import { freePort } from './free-port.ts'
import { startProgram, type Program } from './process.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { onTeardown } from './teardown.ts'

/** Several servers on one Redis of their own. */
export interface ServerCluster {
  readonly redis: RedisServer
  readonly servers: readonly Program[]
  /** One of them, counted from 0. */
  at(index: number): Program
  /** Starts one more; with a port, where another one was. */
  start(mqttPort?: number): Promise<Program>
  /** Ends one of them with SIGTERM and starts a new one on its port. */
  restart(index: number): Promise<Program>
}

/** How the servers are started. */
export interface ServerClusterOptions {
  readonly flags?: readonly string[]
  /** Where they find Redis, when there is something between. */
  readonly redisUrl?: (redis: RedisServer) => Promise<string>
}

/** Starts so many servers; they are killed at the end of the test or the scenario. */
export async function startCluster(
  count: number,
  options: ServerClusterOptions = {},
): Promise<ServerCluster> {
  const redis = await startRedis()
  onTeardown(() => redis.close())
  const url = (await options.redisUrl?.(redis)) ?? redis.url
  const flags = ['--redis', url, '--cluster', ...(options.flags ?? [])]
  const start = async (mqttPort?: number): Promise<Program> =>
    startProgram({ flags, mqttPort: mqttPort ?? (await freePort()) })
  const servers = await Promise.all(Array.from({ length: count }, () => start()))

  function at(index: number): Program {
    const server = servers[index]
    if (!server) throw new Error(`there is no server ${index}`)
    return server
  }

  return {
    redis,
    servers,
    at,
    start,
    async restart(index) {
      const { mqttPort } = at(index)
      await at(index).stop()
      return (servers[index] = await start(mqttPort))
    },
  }
}
