import { createClient, createCluster, createSentinel, ErrorReply, RESP_TYPES } from 'redis'
import { silentLogger, type Logger } from '../logger.ts'

/** Where Redis is. */
export interface RedisAddress {
  /** `redis://` or `rediss://`, with `user:password@` if it asks for them, and `/database`. */
  readonly url: string
  /** A single server, a Redis Cluster, or a server that Sentinels watch. @default 'single' */
  readonly topology?: 'single' | 'cluster' | 'sentinel'
  /** Further nodes of the cluster, or further Sentinels, as `host:port`. @default none */
  readonly nodes?: readonly string[]
  /** What the Sentinels call the server. @default 'mymaster' */
  readonly sentinelName?: string
  /** How long the first connection may take, in milliseconds. @default 10000 */
  readonly connectTimeoutMs?: number
  /** @default silent */
  readonly logger?: Logger
}

/** A part of a command: text, or bytes as they are. */
export type RedisArgument = string | Buffer

/** A way to Redis that does not care how Redis is set up. */
export interface RedisConnection {
  /** Sends a command to where its key lives. */
  send(key: string, args: readonly RedisArgument[]): Promise<unknown>
  /** The same, with every string of the answer as bytes. */
  sendForBytes(key: string, args: readonly RedisArgument[]): Promise<unknown>
  /** What changes whenever any of the servers in charge was started anew or replaced. */
  incarnation(): Promise<string>
  /** Calls back when the connection is lost, before it is tried again. Several servers tell nothing. */
  onLost(listener: () => void): void
  close(): void
}

/** Without a word from Redis for this long a connection is given up, in milliseconds. */
const SILENCE_MS = 5000

/** How often a silent connection is asked, in milliseconds. */
const PING_MS = 1000

/** What waits for a connection waits; a timer and a signal for each command cost more than most commands. */
const NO_TIMEOUT = { timeout: 0 } as const

const AS_BYTES = { ...NO_TIMEOUT, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const

/** Commands that wait for an answer or a connection at most; those that come then are refused. */
const MAX_WAITING = 100_000

/** After how long somebody is told that Redis is waited for, in milliseconds. */
const PATIENCE_MS = 500

/** The longest pause before a lost connection is tried again, in milliseconds. */
const RECONNECT_MS = 500

/**
 * Connects to Redis.
 *
 * @throws when Redis cannot be reached in time, or refuses
 */
export async function connectRedis(address: RedisAddress): Promise<RedisConnection> {
  const { topology = 'single', connectTimeoutMs = 10_000, logger = silentLogger } = address
  let lastError: unknown
  const onError = (error: unknown): void => {
    lastError = error
    logger.debug({ error: String(error) }, 'redis error')
  }
  const client = open[topology](address, onError)
  let isOver = false
  const connected = client.connected
    .then(() => greet(client, () => isOver))
    .then(() => (topology === 'single' ? refuseOneOfSeveral(client) : undefined))
  const telling = setTimeout(() => {
    const redis = withoutPassword(address.url)
    const error = lastError instanceof Error ? lastError.message : 'no answer yet'
    logger.warn({ redis, atMostMs: connectTimeoutMs, error }, 'waiting for Redis')
  }, PATIENCE_MS)
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${connectTimeoutMs} ms`, { cause: lastError }))
    }, connectTimeoutMs)
  })
  try {
    await Promise.race([connected, timeout])
  } catch (error) {
    // Or it would be tried again and again.
    client.close()
    throw error
  } finally {
    isOver = true
    clearTimeout(telling)
    clearTimeout(timer)
  }
  return client
}

/**
 * Runs a script that does nothing. A Redis that asks for a password lets everybody connect and refuses the first
 * command; one that is stuck is connected to and does not answer.
 */
async function greet(client: RedisConnection, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    try {
      await client.send('', ['EVAL', 'return 1', '0'])
      return
    } catch (error) {
      if (!isPassing(error)) throw error
      if (isReply(error)) return
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS))
    }
  }
}

/**
 * Refuses a server that has only a part of the data: it would be asked for the other parts in vain.
 *
 * @throws when it is one of several nodes of a Cluster; not when it does not say what it is
 */
async function refuseOneOfSeveral(client: RedisConnection): Promise<void> {
  const info = await client.send('', ['CLUSTER', 'INFO']).catch(() => '')
  const masters = Number(/cluster_size:(\d+)/.exec(String(info))?.[1] ?? 1)
  if (masters > 1) throw new OneOfSeveral(`it is one of ${masters} masters of a Cluster`)
}

/** A server that was to be the only one is a node of a Cluster. */
export class OneOfSeveral extends Error {}

/** The URL as it may be shown. */
export function withoutPassword(url: string): string {
  const address = new URL(url)
  address.password = ''
  return address.href
}

type Opened = RedisConnection & { readonly connected: Promise<unknown> }
type Opener = (address: RedisAddress, onError: (error: unknown) => void) => Opened

const open: Readonly<Record<'single' | 'cluster' | 'sentinel', Opener>> = {
  single(address, onError) {
    const client = createClient({ url: address.url, ...nodeOptions(address.url) })
    client.on('error', onError)
    const connected = client.connect()
    // A password that is wrong stays wrong.
    return {
      connected: Promise.race([connected, refusal(client)]),
      send: (_, args) => client.sendCommand([...args]),
      sendForBytes: (_, args) => client.sendCommand([...args], AS_BYTES),
      incarnation: async () => identify(await client.sendCommand(['INFO'])),
      onLost: (listener) => void client.on('error', listener),
      close() {
        if (client.isOpen) client.destroy()
      },
    }
  },

  cluster(address, onError) {
    const defaults = { ...credentials(address.url), ...nodeOptions(address.url) }
    const rootNodes = urlsOf(address).map((url) => ({ url, ...nodeOptions(url) }))
    const cluster = createCluster({ RESP: 2, commandOptions: NO_TIMEOUT, rootNodes, defaults })
    cluster.on('error', onError)
    return {
      connected: cluster.connect(),
      send: (key, args) => cluster.sendCommand(key, false, [...args]),
      sendForBytes: (key, args) => cluster.sendCommand(key, false, [...args], AS_BYTES),
      async incarnation() {
        const ask = async (node: (typeof cluster.masters)[number]): Promise<string> => {
          const client = await cluster.nodeClient(node)
          return identify(await client.sendCommand(['INFO']))
        }
        return (await Promise.all(cluster.masters.map(ask))).toSorted().join(' ')
      },
      onLost() {},
      close() {
        if (cluster.isOpen) cluster.destroy()
      },
    }
  },

  sentinel(address, onError) {
    const { sentinelName = 'mymaster' } = address
    const options = { ...credentials(address.url), ...nodeOptions(address.url) }
    const sentinel = createSentinel({
      RESP: 2,
      commandOptions: NO_TIMEOUT,
      name: sentinelName,
      sentinelRootNodes: urlsOf(address).map((url) => {
        const { hostname, port } = new URL(url)
        return { host: hostname, port: Number(port || 26_379) }
      }),
      nodeClientOptions: options,
      passthroughClientErrorEvents: true,
      scanInterval: 1000,
    })
    sentinel.on('error', onError)
    return {
      connected: sentinel.connect(),
      send: (_, args) => sentinel.sendCommand(false, [...args]),
      sendForBytes: (_, args) => sentinel.sendCommand(false, [...args], AS_BYTES),
      incarnation: async () => identify(await sentinel.sendCommand(false, ['INFO'])),
      onLost() {},
      close() {
        sentinel.destroy().catch(onError)
      },
    }
  },
}

function nodeOptions(url: string) {
  const common = {
    connectTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
    reconnectStrategy: (retries: number) => Math.min(50 * (retries + 1), RECONNECT_MS),
  }
  return {
    RESP: 2,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    pingInterval: PING_MS,
    commandOptions: NO_TIMEOUT,
    commandsQueueMaxLength: MAX_WAITING,
    socket: url.startsWith('rediss:') ? { ...common, tls: true as const } : common,
  } as const
}

function credentials(url: string): { username?: string; password?: string } {
  const { username, password } = new URL(url)
  return {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  }
}

function urlsOf({ url, nodes = [] }: RedisAddress): readonly string[] {
  return [
    url,
    ...nodes.map((node) => {
      const other = new URL(url)
      other.host = node
      return other.href
    }),
  ]
}

/** Rejects when Redis answers that it will not have us, which trying again does not change. */
function refusal(client: {
  once(event: 'error', listener: (error: unknown) => void): unknown
}): Promise<never> {
  return new Promise((_, reject) => {
    client.once('error', (error) => {
      if (isReply(error) && /^(WRONGPASS|NOAUTH|NOPERM|ERR )/.test(error.message)) reject(error)
    })
  })
}

function identify(info: unknown): string {
  const text = String(info)
  const field = (name: string): string => new RegExp(`^${name}:(\\S*)`, 'm').exec(text)?.[1] ?? ''
  return `${field('run_id')}/${field('master_replid')}`
}

/** Whether an error is Redis' own answer to a command. */
export function isReply(error: unknown): error is Error {
  return error instanceof ErrorReply
}

/** Answers that say "not now": Redis is loading its data, failing over, moving slots, or full. */
const PASSING =
  /^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|BUSY|UNBLOCKED|MOVED|ASK|OOM|MISCONF)/

/** Whether the same command may succeed later. */
export function isPassing(error: unknown): boolean {
  return !isReply(error) || PASSING.test(error.message)
}
