import { Aedes } from 'aedes'
import type { Duplex } from 'node:stream'
import { createTopics, parseRollCall } from '../protocol/index.ts'
import { createLimitedWarning } from '../runtime/log-limit.ts'
import { clientOf, forgetPrototypes, type AedesClient } from './aedes-internals.ts'
import { createDoor } from './auth/door.ts'
import { createCluster } from './cluster/cluster.ts'
import type { Word } from './cluster/entries.ts'
import { createExpiry } from './auth/expiry.ts'
import { connectHooks } from './hooks.ts'
import { createRates } from './limits/rate.ts'
import { createSessions } from './limits/sessions.ts'
import { createSockets } from './limits/sockets.ts'
import { createUsage } from './limits/usage.ts'
import { createLink, type BrokerLink, type LinkScope } from './link.ts'
import { createLiveness } from './liveness/liveness.ts'
import { createFanoutEmitter } from './fanout/emitter.ts'
import { createGate } from './gate/gate.ts'
import { createMetrics, refusedByKind } from './metrics.ts'
import { resolveOptions, type BrokerOptions } from './options.ts'
import { mayRead } from './auth/read-rules.ts'
import { MemoryPersistence } from './persistence/memory-persistence.ts'
import { createAnnouncer } from './presence/announcer.ts'
import { stampDocument } from './presence/stamp.ts'
import { createRegistry } from './registry.ts'
import { dismiss } from './sessions/farewell.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'
import { createOriginRule, isLoopbackName } from './transport/origins.ts'
import { createTcpListener, type TlsOptions, type Turnstile } from './transport/tcp-listener.ts'
import { createTrustedProxies } from './transport/trusted-proxies.ts'
import { attachWebSocketListener } from './transport/websocket-listener.ts'

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

/** Node sends ten keepalive probes, a second apart, before it gives a TCP peer up; timers add a little. */
const PROBES_MS = 11_000

/** How long a drain waits for the last connection, in milliseconds. */
const DRAIN_MS = 3000

/** How many QoS 2 messages a version 5 client may have open. */
const RECEIVE_MAXIMUM = 4096

/** How many topics a version 5 client may have short names for. */
const TOPIC_ALIAS_MAXIMUM = 100

/** What a page that unloads would say itself. */
const UNLOAD_HINT = '{"status":"offline","reason":"unload"}'

/** Unload hints that nobody here knows, and that are passed on. */
const STRANGE_HINTS = { perSecond: 200, burstSeconds: 1, patienceSeconds: 0 }

/** Version 5 reason codes of a server's DISCONNECT. */
const SHUTTING_DOWN = 0x8b
const SERVER_BUSY = 0x89
const KEEPALIVE_TIMEOUT = 0x8d
const TAKEN_OVER = 0x8e
const ADMINISTRATIVE = 0x98
const MAXIMUM_CONNECT_TIME = 0xa0

/** How often sessions are looked through for those that have been kept long enough, in milliseconds. */
const SESSION_SWEEP_MS = 60_000

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
  const { limits } = resolved
  const maxQueued = limits.maxSessionQueue
  const store = new MemoryPersistence({ root, maxQueued, isSentByFanout: true })
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
      store,
      fanout,
      sessionExpiryMs: limits.sessionExpiryMs,
      onWord,
      isConnected: (clientId) => clientOf(aedes, clientId) !== undefined,
      endConnection(clientId, then) {
        const client = clientOf(aedes, clientId)
        if (client) dismiss(client, TAKEN_OVER, undefined, then)
        else then()
      },
      onMoved: (clientId) => sessions.drop(clientId),
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
  const warn = createLimitedWarning(logger, clock)
  const gate = createGate({
    ...resolved,
    topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
    expects: (client, packet) => fanout.expects(client, packet),
    onHeard: (client) => {
      const connection = registry.get(client)
      if (connection) connection.heardAt = clock.now()
    },
    onRefused: (client, { kind }) => {
      const connection = registry.get(client)
      if (connection) connection.cause ??= kind === 'packet_timeout' ? 'timeout' : 'error'
      const { user } = connection?.identity ?? {}
      const address = registry.infoOf(client)?.remoteAddress
      warn({ client: client.id, user, address, refused: kind }, 'connection refused')
    },
    onError,
  })
  const sessions = createSessions({
    ...limits,
    clock,
    wipe: (clientId) => void store.cleanSubscriptions({ id: clientId }),
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
    isClosing: () => draining !== undefined,
  })

  const sockets = createSockets(limits, clock)
  const hints = createRates(STRANGE_HINTS)
  const turnstile: Turnstile = {
    enter(address) {
      const refusal = sockets.enter(address)
      if (refusal) warn({ address, refused: refusal }, 'connection refused')
      return refusal === undefined
    },
    leave: (address) => sockets.leave(address),
  }
  const ways = {
    onConnection: accept,
    turnstile,
    proxies: createTrustedProxies(resolved.trustedProxies),
    keepAliveDelayMs: Math.max(1000, resolved.livenessTimeoutMs - PROBES_MS),
  }
  const tcp = createTcpListener(ways)
  const secure = resolved.tls && createTcpListener({ ...ways, tls: resolved.tls })
  const webSockets =
    resolved.httpServer &&
    attachWebSocketListener(resolved.httpServer, {
      ...ways,
      mayOpen: createOriginRule(
        resolved.origins,
        resolved.authenticator !== undefined && !resolved.allowGuests,
        isLoopbackName(resolved.host),
      ),
      maxFrameBytes: maxPacketSize + 128 * 1024,
      maxFirstFrameBytes: resolved.maxConnectSize,
    })

  await aedes.listen()
  aedes.subscribe(topics.rollcall, onRollCall, () => {})
  const heart = setInterval(() => announcer.beat(), heartbeatMs)
  const sweep = setInterval(() => sessions.sweep(), SESSION_SWEEP_MS)
  let mqttPort: number | null = null
  let mqttsPort: number | null = null
  try {
    await others?.join()
    if (secure && resolved.tls) mqttsPort = await secure.listen(resolved.tls.port, resolved.host)
    // Beside TLS the plain port is for this machine.
    const host = secure ? '127.0.0.1' : resolved.host
    if (resolved.mqttPort !== false) mqttPort = await tcp.listen(resolved.mqttPort, host)
  } catch (error) {
    await shut()
    throw error
  }
  announcer.beat()
  logger.info({ broker: id, mqttPort, mqttsPort }, 'broker is up')

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
    announcer.answerRollCall(parseRollCall(payload.toString())?.rollcall).catch(onError)
    done()
  }

  /** A bridge in this process cares for the connections of this broker: every other one has a bridge too. */
  function ownScope(): LinkScope {
    const documents = `${root}/connections/`
    return {
      isOthers: ({ topic, brokerId }) => brokerId !== id && topic.startsWith(documents),
      intercept(topic, payload) {
        if (topic !== topics.rollcall) return false
        announcer.answerRollCall(parseRollCall(payload)?.rollcall).catch(onError)
        return true
      },
    }
  }

  /** Another broker says something. */
  function onWord(word: Word): void {
    if (word.type === 'kick') {
      kick(word.clientId)
    } else if (word.type === 'unload') {
      unload(word.unloadKey)
    }
  }

  /** Other brokers took this one for dead: they have its sessions, and think its clients gone. */
  function startAnew(): void {
    for (const clientId of store.sessions()) {
      if (clientOf(aedes, clientId)) continue
      store.dropSession(clientId)
      sessions.drop(clientId)
      others?.clients.forget(clientId)
    }
    // Who has a session fetches it by coming back.
    for (const { client } of registry.all()) if (!client.clean) dismiss(client, SERVER_BUSY)
  }

  function kick(clientId: string): void {
    for (const connection of registry.all()) {
      if (connection.identity?.client !== clientId) continue
      connection.cause = 'kicked'
      dismiss(connection.client, ADMINISTRATIVE)
    }
  }

  function unload(unloadKey: string): boolean {
    const connection = registry.byUnloadKey(unloadKey)
    if (!connection?.identity || connection.state !== 'announced') return false
    const { user, client } = connection.identity
    const hint = stampDocument(connection, UNLOAD_HINT, id, resolved.documentLimits)
    if (hint.ok) publish(topics.connection(user, client), hint.value)
    return hint.ok
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
    announcer.setClosing()
    announcer.beat()
    const until = clock.now() + DRAIN_MS
    // Bridges, and readers who are not present, go last: until then there is somebody to hear the wills.
    const isPresent = (client: AedesClient): boolean =>
      registry.get(client)?.identity?.present === true
    await endAll((client) => isPresent(client), until)
    await endAll(() => true, until)
    logger.info({ broker: id, left: registry.size }, 'broker is drained')
  }

  /** Ends connections, and waits until they are gone and what there was to say of them has been said. */
  async function endAll(which: (client: AedesClient) => boolean, until: number): Promise<void> {
    for (const client of registry.clients()) if (which(client)) dismiss(client, SHUTTING_DOWN)
    for (let gone = false; !gone && clock.now() < until;) {
      gone = !registry.clients().some(which)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
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
    await Promise.all([tcp.close(), secure?.close(), webSockets?.close()])
    await others?.leave()
    await new Promise<void>((resolve) => aedes.close(() => resolve()))
  }

  return {
    id,
    mqttPort,
    mqttsPort,
    setSecureContext: (tls) => secure?.setSecureContext(tls),
    link: () => createLink(aedes, store, onError, others && ownScope()),
    get isConnected() {
      return others?.isUp ?? true
    },
    metrics: () => ({
      ...metrics,
      ...others?.metrics(),
      ...refusedByKind(gate.refused),
      ...refusedByKind(sockets.refused),
      connections: registry.size,
      retained: store.retainedCount,
      retainedOutside: store.retainedOutside,
      rooms: store.roomCount,
      sessions: sessions.absent,
      droppedSessions: sessions.dropped,
      droppedFromSessions: store.overflowed,
    }),
    kick(clientId) {
      kick(clientId)
      others?.say({ type: 'kick', clientId })
    },
    unload(unloadKey) {
      if (unload(unloadKey)) return true
      // Its page may have come to another broker than its connection; strangers may post anything.
      const isInTime = others && hints.take('', clock.now()) === 0
      if (isInTime) others.say({ type: 'unload', unloadKey })
      return isInTime ?? false
    },
    drain: () => (draining ??= drain()),
    close: () => (closing ??= close()),
  }
}
