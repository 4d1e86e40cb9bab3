import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { onTeardown } from './teardown.ts'
import { eventually } from './within.ts'

/** A Redis server of its own, with a directory of its own. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Stops it and lets it go on: `SIGSTOP`, `SIGCONT`. */
  signal(signal: NodeJS.Signals): void
  /** Kills it; its data is what it last wrote. */
  kill(): Promise<void>
  /** Starts it again on the same port, with its data or without. */
  restart(data: 'with data' | 'empty'): Promise<void>
  /** Sends a command that is one line, and gives the first line of the answer, or all up to a word. */
  command(line: string, until?: string): Promise<string>
  /** Kills it and removes its directory. */
  close(): Promise<void>
}

/** Starts a server that writes every change to its disk at once. */
export async function startRedis(...options: readonly string[]): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'presence-redis-'))
  const port = await freePort()
  let child = await launch()

  async function launch(): Promise<ChildProcess> {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory]
    const lasting = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
    const started = spawn('redis-server', [...args, ...lasting, ...options], { stdio: 'ignore' })
    started.on('error', () => {})
    try {
      await eventually(
        `redis-server listens on ${port}`,
        async () => (await ask(port, 'PING')) === '+PONG',
      )
    } catch (error) {
      started.kill('SIGKILL')
      throw error
    }
    return started
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    signal: (signal) => void child.kill(signal),
    kill,
    async restart(data) {
      await kill()
      if (data === 'empty')
        await rm(join(directory, 'appendonlydir'), { recursive: true, force: true })
      child = await launch()
    },
    command: (line, until) => ask(port, line, until),
    async close() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A master, a replica, and three Sentinels that watch them. */
export interface WatchedRedis {
  /** Of one Sentinel. */
  readonly url: string
  /** Of the others, as `host:port`. */
  readonly nodes: readonly string[]
  /** Kills the master; resolves when the replica is master. */
  failOver(): Promise<void>
}

/** Starts them; resolves when a failover would work. They are killed at the end of the test. */
export async function startWatchedRedis(): Promise<WatchedRedis> {
  // A replica is not kept waiting for others to come along.
  const master = await startRedis('--repl-diskless-sync-delay', '0')
  onTeardown(() => master.close())
  const replica = await startRedis('--replicaof', '127.0.0.1', String(master.port))
  onTeardown(() => replica.close())
  await eventually('the replica follows', () => answers(replica, 'master_link_status:up'))
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(master.port)))
  const [first, ...others] = sentinels
  if (!first) throw new Error('no Sentinel')
  for (const { port } of sentinels) {
    await eventually(
      'the Sentinels know all',
      async () => {
        const text = await ask(port, 'SENTINEL MASTER mymaster', 'num-other-sentinels\r\n$1\r\n2')
        return /num-slaves\r\n\$1\r\n1/.test(text) && /num-other-sentinels\r\n\$1\r\n2/.test(text)
      },
      15_000,
    )
  }
  return {
    url: `redis://127.0.0.1:${first.port}`,
    nodes: others.map(({ port }) => `127.0.0.1:${port}`),
    async failOver() {
      await master.kill()
      await eventually('the replica is master', () => answers(replica, 'role:master'), 20_000)
    },
  }
}

async function answers({ port }: RedisServer, word: string): Promise<boolean> {
  return (await ask(port, 'INFO replication', word)).includes(word)
}

async function startSentinel(master: number): Promise<{ readonly port: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'presence-sentinel-'))
  const port = await freePort()
  const file = join(directory, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor mymaster 127.0.0.1 ${master} 2`,
    'sentinel down-after-milliseconds mymaster 1000',
    'sentinel failover-timeout mymaster 3000',
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  child.on('error', () => {})
  onTeardown(async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    await rm(directory, { recursive: true, force: true })
  })
  await eventually(
    `a Sentinel listens on ${port}`,
    async () => (await ask(port, 'PING')) === '+PONG',
  )
  return { port }
}

/** Three masters that share the slots. */
export interface RedisCluster {
  readonly url: string
  readonly nodes: readonly RedisServer[]
  close(): Promise<void>
}

/** Starts a cluster; resolves when it serves every slot. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const options = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']
  // The bus is 10,000 above the port, and ports from above 55,535 have none.
  const nodes = await Promise.all([1, 2, 3].map(() => startRedis(...options)))
  const [first, ...others] = nodes
  if (!first) throw new Error('no node')
  const borders = [0, 5461, 10_923, 16_384]
  for (const [i, node] of nodes.entries()) {
    const range = `${borders[i]} ${(borders[i + 1] ?? 0) - 1}`
    await node.command(`CLUSTER ADDSLOTSRANGE ${range}`)
  }
  for (const { port } of others) await first.command(`CLUSTER MEET 127.0.0.1 ${port}`)
  for (const node of nodes) {
    await eventually('the cluster serves every slot', () => isWhole(node.port), 15_000)
  }
  return {
    url: first.url,
    nodes,
    async close() {
      await Promise.all(nodes.map((node) => node.close()))
    },
  }
}

async function isWhole(port: number): Promise<boolean> {
  const info = await ask(port, 'CLUSTER INFO', 'cluster_known_nodes:3')
  return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')
}

/** One command over a connection of its own; empty when nobody answers. */
function ask(port: number, line: string, until = '\r\n'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${line}\r\n`))
    let text = ''
    const end = (): void => {
      socket.destroy()
      resolve(text.includes('\r\n') && !/^[$*]/.test(text) ? (text.split('\r\n')[0] ?? '') : text)
    }
    socket.setTimeout(500, end)
    socket.on('data', (bytes) => {
      text += bytes.toString()
      if (text.includes(until)) end()
    })
    socket.on('error', end)
    socket.on('close', end)
  })
}
