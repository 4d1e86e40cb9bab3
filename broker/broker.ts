import { Aedes, type Client } from 'aedes'
import type { Duplex } from 'node:stream'
import { createTopics, parseRollCall } from '../protocol/index.ts'
import { createLimitedWarning } from '../runtime/log-limit.ts'
import type { AedesClient } from './aedes-internals.ts'
import { connectHooks } from './hooks.ts'
import { createLink, type BrokerLink } from './link.ts'
import { createLiveness } from './liveness/liveness.ts'
import { createFanoutEmitter } from './fanout/emitter.ts'
import { createMetrics } from './metrics.ts'
import { resolveOptions, type BrokerOptions } from './options.ts'
import { MemoryPersistence } from './persistence/memory-persistence.ts'
import { createAnnouncer } from './presence/announcer.ts'
import { createRegistry } from './registry.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'
import { createTcpListener } from './transport/tcp-listener.ts'
import { attachWebSocketListener } from './transport/websocket-listener.ts'

/** A running broker. */
export interface Broker {
  readonly id: string
  /** The bound MQTT port; null when there is none. */
  readonly mqttPort: number | null
  /** A way to this broker for a bridge in the same process. */
  link(): BrokerLink
  /** Counters and gauges by name. */
  metrics(): Record<string, number>
  /** Ends every connection of a client id, with the cause `kicked`. */
  kick(clientId: string): void
  /**
   * Takes no new connections and ends the live ones, whose wills go out with the cause `broker`.
   * Resolves when they are gone, or after a bound of 3 s. Idempotent.
   */
  drain(): Promise<void>
  /** Drains, then closes everything. Idempotent. */
  close(): Promise<void>
}

/** Node sends this many keepalive probes, a second apart, before it gives a TCP peer up. */
const PROBES_MS = 10_000

/** How long a client may take from its socket to its CONNECT, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000

/** How long a drain waits for the last connection, in milliseconds. */
const DRAIN_MS = 3000

/** Version 5 reason codes of a server's DISCONNECT. */
const SHUTTING_DOWN = 0x8b
const KEEPALIVE_TIMEOUT = 0x8d
const ADMINISTRATIVE = 0x98

/**
 * Starts a broker: Aedes, with presence for everybody who connects. Resolves when it takes
 * connections.
 *
 * @throws RangeError for a bad option; the system's own error when the port cannot be had
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const resolved = resolveOptions(options)
  const { id, root, clock, logger, heartbeatMs, maxPacketSize } = resolved
  const topics = createTopics(root)
  const metrics = createMetrics()
  const registry = createRegistry()
  const persistence = new MemoryPersistence()
  const fanout = createFanoutEmitter({ maxQueuedBytes: resolved.maxQueuedBytes })
  const aedes = new Aedes({
    id,
    mq: fanout,
    persistence,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Clients may send everything they have behind their CONNECT.
    queueLimit: 10_000,
    // MQTT 3.1 asks for no more than 23 characters; nobody is hurt by more.
    maxClientsIdLength: 65_535,
    maximumPacketSize: maxPacketSize,
    maxTopicLevels: resolved.maxTopicLevels,
    topicAliasMaximum: 100,
    drainTimeout: 0,
  })
  const announcer = createAnnouncer({
    broker: id,
    topics,
    heartbeatMs,
    connections: () => registry.all(),
    publish: (topic, payload) => {
      aedes.publish(
        { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false },
        (error) => error && onError(error),
      )
    },
  })
  const liveness = createLiveness({
    clock,
    policy: { timeoutMs: resolved.livenessTimeoutMs, toleranceMs: resolved.keepaliveToleranceMs },
    connections: () => registry.all(),
    onDead: (connection) => {
      connection.cause = 'timeout'
      metrics.timeouts++
      disconnect(connection.client, KEEPALIVE_TIMEOUT)
    },
    onStall: (ms) => {
      metrics.stalls++
      logger.warn({ broker: id, ms }, 'broker was not running; nobody is held to that time')
    },
    onError,
  })
  let draining: Promise<void> | undefined
  let closing: Promise<void> | undefined

  connectHooks(aedes, {
    ...resolved,
    announcer,
    registry,
    liveness,
    metrics,
    adopt: (client) => fanout.adopt(client),
    warn: createLimitedWarning(logger, clock),
    isClosing: () => draining !== undefined,
  })

  const tcp = createTcpListener({
    onConnection: accept,
    keepAliveDelayMs: Math.max(1000, resolved.livenessTimeoutMs - PROBES_MS),
  })
  const webSockets =
    resolved.httpServer &&
    attachWebSocketListener(resolved.httpServer, {
      onConnection: accept,
      maxFrameBytes: maxPacketSize + 128 * 1024,
    })

  await aedes.listen()
  aedes.subscribe(topics.rollcall, onRollCall, () => {})
  const heart = setInterval(() => announcer.beat(), heartbeatMs)
  let mqttPort: number | null = null
  try {
    if (resolved.mqttPort !== false) mqttPort = await tcp.listen(resolved.mqttPort, resolved.host)
  } catch (error) {
    await shut()
    throw error
  }
  announcer.beat()
  logger.info({ broker: id, mqttPort }, 'broker is up')

  function accept(stream: Duplex, info: ConnectionInfo): void {
    if (draining) {
      stream.destroy()
      return
    }
    metrics.accepted++
    registry.arrive(aedes.handle(stream, info.request) as AedesClient, info)
  }

  function onRollCall({ payload }: { payload: Buffer | string }, done: () => void): void {
    announcer.answerRollCall(parseRollCall(payload.toString())?.rollcall).catch(onError)
    done()
  }

  function onError(error: unknown): void {
    metrics.errors++
    logger.error({ err: error }, 'broker failed to do something')
  }

  async function drain(): Promise<void> {
    announcer.setClosing()
    announcer.beat()
    for (const client of registry.clients()) disconnect(client, SHUTTING_DOWN)
    const until = clock.now() + DRAIN_MS
    while (registry.size > 0 && clock.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    logger.info({ broker: id, left: registry.size }, 'broker is drained')
  }

  async function close(): Promise<void> {
    await (draining ??= drain())
    await shut()
    logger.info({ broker: id }, 'broker is closed')
  }

  async function shut(): Promise<void> {
    clearInterval(heart)
    liveness.close()
    await Promise.all([tcp.close(), webSockets?.close()])
    await new Promise<void>((resolve) => aedes.close(() => resolve()))
  }

  return {
    id,
    mqttPort,
    link: () => createLink(aedes, persistence, onError),
    metrics: () => ({
      ...metrics,
      connections: registry.size,
      retained: persistence.retainedCount,
    }),
    kick(clientId) {
      for (const connection of registry.all()) {
        if (connection.identity?.client !== clientId) continue
        connection.cause = 'kicked'
        disconnect(connection.client, ADMINISTRATIVE)
      }
    },
    drain: () => (draining ??= drain()),
    close: () => (closing ??= close()),
  }
}

/** Ends a connection; a version 5 client is told why if the word can still get through. */
function disconnect(client: Client, reasonCode: number): void {
  if (client.version === 5 && client.connected && !client.conn.writableNeedDrain) {
    client.disconnect({ reasonCode })
  } else {
    client.conn.destroy()
  }
}
