import type { Server } from 'node:http'
import { Server as SecureServer } from 'node:https'
import type { Bridge, Link, Store } from '../bridge/index.ts'
import type { Broker } from '../broker/index.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Command } from './config/load.ts'
import type { Config } from './config/options.ts'
import { closeHttpServer, createHttpServer, listen } from './http.ts'
import { processMetrics, type MetricGroups } from './metrics.ts'
import { bridgeOptions, brokerOptions, linkOptions, redisOptions } from './part-options.ts'
import type { Parts } from './parts.ts'
import { createSecurity, type ReloadableSecurity } from './security.ts'
import { explainBroker, explainListen, explainRedis, StartupError } from './startup-error.ts'
import { createStopSteps, type StopSteps } from './stop-steps.ts'

/** The running program. */
export interface Program {
  /** What is listened on, with the ports that were found where any would do. */
  readonly mqttPort?: number
  readonly httpPort?: number
  readonly mqttsPort?: number
  /** Reads keys, passwords and certificates again; logs when that fails, and then all stay as they were. */
  reload(): void
  /** Idempotent; resolves when everything is closed. */
  stop(): Promise<void>
}

interface Running {
  broker?: Broker
  bridge?: Bridge
  phase: 'starting' | 'up' | 'stopping'
}

interface Start {
  readonly command: Command
  readonly config: Config
  readonly parts: Parts
  readonly logger: Logger
  readonly steps: StopSteps
  readonly security: ReloadableSecurity | undefined
  /** Nobody wants the program any more. */
  readonly signal: AbortSignal
}

/**
 * Starts what a command asks for, and stops it again when a part of it cannot start, or when it is no longer
 * wanted: then what is waited for is not waited for.
 *
 * @throws StartupError with a sentence for whoever started the program
 */
export async function startProgram(
  command: Command,
  config: Config,
  parts: Parts,
  logger: Logger,
  signal: AbortSignal = new AbortController().signal,
): Promise<Program> {
  const running: Running = { phase: 'starting' }
  const steps = createStopSteps(logger)
  async function stop(): Promise<void> {
    running.phase = 'stopping'
    await steps.run()
  }
  try {
    const security = command === 'bridge' ? undefined : createSecurity(config)
    const start = { command, config, parts, logger, steps, security, signal }
    const { http, ...ports } = await Promise.race([startParts(start, running), aborted(signal)])
    running.phase = 'up'
    return { ...ports, stop, reload: () => reload(start, running, http) }
  } catch (error) {
    await stop()
    throw error
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new StartupError('told to stop')))
  })
}

// HTTP comes first: probes are answered while the rest starts, and a port that is taken shows
// before anybody has connected. Redis is next: nobody connects to a broker that goes away again. HTTP
// goes last, as steps are stopped in reverse: the bridge says `offline` while there is a broker to say
// it to, then the broker drains.
async function startParts(
  start: Start,
  running: Running,
): Promise<Omit<Program, 'stop' | 'reload'> & { readonly http: Server }> {
  const { command, config, steps, security, signal } = start
  const sources = {
    problems: () => problems(running),
    metrics: () => metrics(running),
    unload: (key: string) => running.broker?.unload(key) ?? false,
    bridge: () => running.bridge,
    demo: () => ({ root: config.root, grace: config.grace }),
  }
  const http = createHttpServer(sources, security?.tls)
  http.maxConnections = config.maxConnections
  steps.add('http', () => closeHttpServer(http))
  const httpPort = await openHttp(start, http)
  const store = command === 'broker' ? undefined : await openStore(start)
  signal.throwIfAborted()
  if (command !== 'bridge') running.broker = await openBroker(start, http)
  if (command !== 'broker') running.bridge = await openBridge(start, store, running.broker)
  const { mqttPort, mqttsPort } = running.broker ?? {}
  return {
    http,
    ...(httpPort !== undefined && { httpPort }),
    ...(typeof mqttPort === 'number' && { mqttPort }),
    ...(typeof mqttsPort === 'number' && { mqttsPort }),
  }
}

function reload({ security, logger }: Start, { broker }: Running, http: Server): void {
  try {
    const tls = security?.reload()
    if (tls) {
      broker?.setSecureContext(tls)
      if (http instanceof SecureServer) http.setSecureContext(tls)
    }
    logger.info({}, 'keys, passwords and certificates were read again')
  } catch (error) {
    if (!(error instanceof StartupError)) throw error
    logger.error({ error: error.message }, 'keys, passwords and certificates stay as they were')
  }
}

async function openHttp({ command, config }: Start, http: Server): Promise<number | undefined> {
  const alone = command === 'bridge'
  const port = alone ? config.bridgeHttpPort : config.httpPort
  if (port === undefined) return undefined
  try {
    return await listen(http, config.host, port)
  } catch (error) {
    throw explainListen(error, config.host, port, alone ? 'bridge-http-port' : 'http-port')
  }
}

async function openBroker(start: Start, http: Server): Promise<Broker> {
  const { command, config, parts, logger, steps } = start
  try {
    const alone = command === 'broker'
    const broker = await parts.createBroker(
      brokerOptions(config, http, alone, logger, start.security),
    )
    steps.add('broker', async () => {
      await broker.drain()
      await broker.close()
    })
    return broker
  } catch (error) {
    const { cluster, redis } = config
    const explained = explainListen(error, config.host, config.mqttPort, 'mqtt-port')
    if (explained !== error || !cluster || redis.url === undefined) throw explained
    throw explainRedis(error, redis.url)
  }
}

/** A bridge beside the broker of this process, or else alone, attached to the one that is named. */
async function openBridge(
  start: Start,
  store: Store | undefined,
  broker: Broker | undefined,
): Promise<Bridge> {
  const { config, parts, logger, steps } = start
  const create = async (link: Link, alone: boolean): Promise<Bridge> => {
    const bridge = await parts.createBridge(
      bridgeOptions(config, link, alone, logger, store, broker),
    )
    steps.add('bridge', () => bridge.close())
    // Where others live on, the ends of the connections are for this bridge to note.
    if (config.cluster && broker) steps.add('drain', () => broker.drain())
    return bridge
  }
  if (broker) return create(broker.link(), false)
  const options = linkOptions(config, config.broker ?? '', logger)
  try {
    return await create(await parts.connectMqttLink(options), true)
  } catch (error) {
    throw explainBroker(error, options.url)
  }
}

/** A store in Redis; undefined when the bridge is to keep presence in this process. */
async function openStore(start: Start): Promise<Store | undefined> {
  const { config, parts, logger, steps } = start
  const options = redisOptions(config, logger)
  if (!options) return undefined
  try {
    const store = await parts.createRedisStore(options)
    steps.add('redis', () => store.close())
    return store
  } catch (error) {
    throw explainRedis(error, options.url)
  }
}

function problems({ phase, bridge, broker }: Running): readonly string[] {
  if (phase === 'starting') return ['the program is starting']
  if (phase === 'stopping') return ['the program is stopping']
  if (broker?.isConnected === false)
    return ['the other brokers cannot be heard: Redis does not answer']
  return bridge?.ready === false
    ? ['the bridge has no broker or no store, or has not called the roll yet']
    : []
}

function metrics({ broker, bridge, phase }: Running): MetricGroups {
  return {
    process: processMetrics(),
    server: { ready: Number(phase === 'up' && bridge?.ready !== false) },
    ...(broker && { broker: broker.metrics() }),
    ...(bridge && { bridge: bridge.metrics() }),
  }
}
