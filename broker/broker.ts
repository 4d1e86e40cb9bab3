import { Aedes } from 'aedes'
import type { Duplex } from 'node:stream'
import { createTopics, parsePing, parseRollCall } from '../protocol/index.ts'
import { createLimitedWarning } from '../runtime/log-limit.ts'
import { clientOf, forgetPrototypes, type AedesClient } from './aedes-internals.ts'
import { endConnections } from './draining.ts'
import { createCommands } from './commands.ts'
import { createDoor } from './auth/door.ts'
import { createCluster } from './cluster/cluster.ts'
import { createExpiry } from './auth/expiry.ts'
import { connectHooks } from './hooks.ts'
import { createSessions } from './limits/sessions.ts'
import { createUsage } from './limits/usage.ts'
import { createLink, createOwnScope, type BrokerLink } from './link.ts'
import { createListeners, type Listeners } from './listeners.ts'
import { createLiveness } from './liveness/liveness.ts'
import { createFanoutEmitter } from './fanout/emitter.ts'
import { explain } from './gate/explain.ts'
import { createGate } from './gate/gate.ts'
import { createMetrics, refusedByKind } from './metrics.ts'
import { resolveOptions, type BrokerOptions } from './options.ts'
import { mayRead } from './auth/read-rules.ts'
import { MemoryPersistence } from './persistence/memory-persistence.ts'
import { createAnnouncer } from './presence/announcer.ts'
import { createRegistry } from './registry.ts'
import { dismiss } from './sessions/farewell.ts'
import { surrenderSessions } from './sessions/surrender.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'
import type { TlsOptions } from './transport/tcp-listener.ts'

/** A running broker. */
export interface Broker {
  readonly id: string
  /** The bound MQTT port; null when there is none. */
  readonly mqttPort: number | null
  /** The bound port for MQTT over TLS; null when there is none. */
  readonly mqttsPort: number | null
  /** A way to this broker for a bridge in the same process. */
  link(): BrokerLink
  /** Whether the other brokers can be heard; true when there are none. */
  readonly isConnected: boolean
  /** Counters and gauges by name. */
  metrics(): Record<string, number>
  /** Other certificates for those who connect from now on; nobody is dropped. */
  setSecureContext(tls: TlsOptions): void
  /** Ends every connection of a client id, with the cause `kicked`. */
  kick(clientId: string): void
  /**
   * Says in a client's place that its page is unloading, when somebody shows the `unloadKey` of one of its
   * documents: a page that goes can still post, but may not get through to its worker.
   *
   * @returns whether it is the key of a live connection
   */
  unload(unloadKey: string): boolean
  /**
   * Takes no new connections and ends the live ones, whose wills go out with the cause `broker`.
   * Resolves when they are gone, or after a bound of 3 s. Idempotent.
   */
  drain(): Promise<void>
  /** Drains, then closes everything. Idempotent. */
  close(): Promise<void>
}

/** How many QoS 2 messages a version 5 client may have open: less than what by default is a flood. */
const RECEIVE_MAXIMUM = 1024

/** How many topics a version 5 client may have short names for. */
const TOPIC_ALIAS_MAXIMUM = 100

/** Version 5 reason codes of a server's DISCONNECT. */
const KEEPALIVE_TIMEOUT = 0x8d
const TAKEN_OVER = 0x8e
const MAXIMUM_CONNECT_TIME = 0xa0

/** How often sessions are looked through for those that have been kept long enough, in milliseconds. */
const SESSION_SWEEP_MS = 60_000

/**
 * Starts a broker: Aedes, with presence for everybody who connects. Resolves when it takes
 * connections.
 *
 * @throws RangeError or TypeError for a bad option; the system's own error when the port cannot be had
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const resolved = resolveOptions(options)
  const { id, root, clock, logger, heartbeatMs, maxPacketSize } = resolved
  const topics = createTopics(root)
  const metrics = createMetrics()
  const registry = createRegistry()
  const { limits } = resolved
  const maxQueued = limits.maxSessionQueue
  const now = (): number => clock.now()
  const warn = createLimitedWarning(logger, clock)
  const store = new MemoryPersistence({ root, maxQueued, isSentByFanout: true, now })
  const fanout = createFanoutEmitter({
    maxQueuedBytes: resolved.maxQueuedBytes,
    maxQueued,
    onDropped: () => metrics.droppedFromWindows++,
    queueOf: (clientId) => store.queueOf(clientId),
    keepForAbsent: (packet, served) =>
      store.keepForAbsent(packet, served, (name) => others?.serves(name, packet) ?? true),
    serves: (name, packet) => others?.serves(name, packet) ?? true,
    mayRead: (client, { topic }) => {
      const grant = registry.get(client as AedesClient)?.grant
      return grant !== undefined && mayRead(root, topic, grant)
    },
  })
  const others =
    resolved.cluster &&
    (await createCluster({
      broker: id,
      root,
      redis: resolved.cluster,
      clock,
      logger,
      warn,
      store,
      fanout,
      sessionExpiryMs: limits.sessionExpiryMs,
      onWord: (word) => commands.onWord(word),
      inLine: (clientId, run) => hooks.inLine(clientId, run),
      isConnected,
      endConnection(clientId, then) {
        const client = clientOf(aedes, clientId)
        if (!client) return then()
        hooks.expect(clientId)
        dismiss(client, TAKEN_OVER, undefined, then)
      },
      onMoved(clientId, isClean) {
        hooks.resolveWill(clientId, isClean)
        sessions.drop(clientId)
      },
      onAdopted({ clientId, user, keptMs }) {
        sessions.adopt(clientId, user === '' ? undefined : user, user || clientId, keptMs)
      },
      onTaken: startAnew,
      onOrphanedWill: (will) => aedes.publish(will, (error) => error && onError(error)),
      onError,
    }))
  const aedes = new Aedes({
    id,
    mq: others?.emitter ?? fanout,
    persistence: store,
    sessionExpiryIntervalLimit: Math.ceil(limits.sessionExpiryMs / 1000),
    // MQTT 3.1 asks for no more than 23 characters; nobody is hurt by more.
    maxClientsIdLength: 65_535,
    maximumPacketSize: maxPacketSize,
    maxTopicLevels: resolved.maxTopicLevels,
    topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
    receiveMaximum: RECEIVE_MAXIMUM,
    pendingSessionsLimit: limits.maxSessions,
    drainTimeout: 0,
    // How many answers may wait for a socket that is full: as many as the gate hands over at a time.
    concurrency: 512,
  })
  forgetPrototypes(aedes)
  const announcer = createAnnouncer({
    broker: id,
    topics,
    heartbeatMs,
    connections: () => registry.all(),
    publish,
  })
  const liveness = createLiveness({
    clock,
    policy: { timeoutMs: resolved.livenessTimeoutMs, toleranceMs: resolved.keepaliveToleranceMs },
    connections: () => registry.all(),
    onDead: (connection) => {
      connection.cause = 'timeout'
      metrics.timeouts++
      dismiss(connection.client, KEEPALIVE_TIMEOUT)
    },
    onStall: (ms) => {
      metrics.stalls++
      logger.warn({ broker: id, ms }, 'broker was not running; nobody is held to that time')
    },
    onError,
  })
  const gate = createGate({
    ...resolved,
    topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
    expects: (client, packet) => fanout.expects(client, packet),
    onHeard: (client) => {
      const connection = registry.get(client)
      if (connection) connection.heardAt = clock.now()
    },
    onRefused: (client, refusal) => {
      const { kind } = refusal
      const connection = registry.get(client)
      if (connection) connection.cause ??= kind === 'packet_timeout' ? 'timeout' : 'error'
      const { user } = connection?.identity ?? {}
      const address = registry.infoOf(client)?.remoteAddress
      const told = { client: client.id || undefined, user, address, refused: kind }
      const what = client.connackSent ? 'connection ended' : 'connection refused'
      warn({ ...told, error: explain(refusal) }, what)
    },
    onError,
  })
  const sessions = createSessions({
    ...limits,
    clock,
    wipe(clientId) {
      void store.cleanSubscriptions({ id: clientId })
      void others?.clients.end(clientId)
    },
  })
  /** Of bridges in this process. */
  const links = new Set<BrokerLink>()
  let draining: Promise<void> | undefined
  // Not the promise: the first wills go out before that is there.
  let isDraining = false
  let closing: Promise<void> | undefined

  const hooks = connectHooks(aedes, {
    ...resolved,
    announcer,
    registry,
    liveness,
    metrics,
    adopt: (client) => fanout.adopt(client),
    receiveMaximum: RECEIVE_MAXIMUM,
    warn,
    store,
    others,
    onError,
    sessions,
    usage: createUsage(limits, clock),
    door: createDoor({
      ...resolved,
      onFailure: (error) => warn({ error }, 'the authenticator could not say who a client is'),
    }),
    expiry: createExpiry(clock, (connection) => {
      connection.cause = 'kicked'
      metrics.expired++
      dismiss(connection.client, MAXIMUM_CONNECT_TIME, 'the token has expired')
    }),
    disconnect: dismiss,
    kick: (clientId) => commands.kick(clientId),
    hasLink: () => links.size > 0,
    isClosing: () => isDraining,
  })

  const commands = createCommands({ ...resolved, topics, registry, publish, say: others?.say })
  const listeners = createListeners(resolved, accept, warn)

  await aedes.listen()
  aedes.subscribe(topics.rollcall, onRollCall, () => {})
  aedes.subscribe(topics.ping, onPing, () => {})
  const heart = setInterval(() => announcer.beat(), heartbeatMs)
  const sweep = setInterval(() => sessions.sweep(), SESSION_SWEEP_MS)
  let ports: Awaited<ReturnType<Listeners['listen']>>
  try {
    await others?.join()
    ports = await listeners.listen()
  } catch (error) {
    await shut()
    throw error
  }
  announcer.beat()
  logger.info({ broker: id, ...ports }, 'broker is up')

  function accept(stream: Duplex, info: ConnectionInfo): void {
    if (draining) {
      stream.destroy()
      return
    }
    metrics.accepted++
    const client = aedes.handle(stream, info.request) as AedesClient
    registry.arrive(client, info)
    gate.admit(client)
  }

  function onRollCall({ payload }: { payload: Buffer | string }, done: () => void): void {
    answerRollCall(payload.toString())
    done()
  }

  function onPing({ payload }: { payload: Buffer | string }, done: () => void): void {
    const ping = parsePing(payload.toString())?.ping
    if (ping !== undefined) announcer.beat(ping)
    done()
  }

  function answerRollCall(payload: string): void {
    announcer.answerRollCall(parseRollCall(payload)?.rollcall).catch(onError)
  }

  /** Other brokers took this one for dead. */
  function startAnew(): void {
    hooks.forgetWills()
    surrenderSessions({
      sessions: store.sessions(),
      clients: Array.from(registry.all(), ({ client }) => client),
      isConnected,
      inLine: (clientId, run) => hooks.inLine(clientId, run),
      drop(clientId) {
        others?.drop(clientId)
        sessions.drop(clientId)
      },
    })
  }

  function isConnected(clientId: string): boolean {
    return clientOf(aedes, clientId) !== undefined
  }

  function publish(topic: string, payload: string): void {
    aedes.publish(
      { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false },
      (error) => error && onError(error),
    )
  }

  function onError(error: unknown): void {
    metrics.errors++
    logger.error({ err: error }, 'broker failed to do something')
  }

  async function drain(): Promise<void> {
    isDraining = true
    announcer.setClosing()
    announcer.beat()
    await endConnections(registry, clock)
    logger.info({ broker: id, left: registry.size }, 'broker is drained')
  }

  async function close(): Promise<void> {
    await (draining ??= drain())
    await shut()
    logger.info({ broker: id }, 'broker is closed')
  }

  async function shut(): Promise<void> {
    clearInterval(heart)
    clearInterval(sweep)
    liveness.close()
    gate.close()
    await listeners.close()
    await others?.leave()
    await new Promise<void>((resolve) => aedes.close(() => resolve()))
  }

  return {
    id,
    ...ports,
    setSecureContext: (tls) => listeners.setSecureContext(tls),
    link: () =>
      createLink(
        aedes,
        store,
        onError,
        links,
        others && createOwnScope(id, topics, answerRollCall),
      ),
    get isConnected() {
      return others?.isUp ?? true
    },
    metrics: () => ({
      ...metrics,
      ...others?.metrics(),
      ...refusedByKind(gate.refused),
      ...refusedByKind(listeners.refused),
      connections: registry.size,
      fenced: store.fenced,
      retained: store.retainedCount,
      retainedOutside: store.retainedOutside,
      rooms: store.roomCount,
      sessions: sessions.absent,
      droppedSessions: sessions.dropped,
      droppedFromSessions: store.overflowed,
    }),
    kick: (clientId) => commands.kick(clientId),
    unload: (unloadKey) => commands.unload(unloadKey),
    drain: () => (draining ??= drain()),
    close: () => (closing ??= close()),
  }
}
