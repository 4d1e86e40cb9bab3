import type { Server } from 'node:http'
import type { Bridge, Link } from '../bridge/index.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Command } from './config/load.ts'
import type { Config } from './config/options.ts'
import { closeHttpServer, createHttpServer, listen } from './http.ts'
import { processMetrics, type MetricGroups } from './metrics.ts'
import { bridgeOptions, brokerOptions, linkOptions } from './part-options.ts'
import type { Broker, Parts } from './parts.ts'
import { explainBroker, explainListen } from './startup-error.ts'
import { createStopSteps, type StopSteps } from './stop-steps.ts'

/** The running program. */
export interface Program {
  /** What is listened on, with the ports that were found where any would do. */
  readonly mqttPort?: number
  readonly httpPort?: number
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
}

/**
 * Starts what a command asks for, and stops it again when a part of it cannot start.
 *
 * @throws StartupError with a sentence for whoever started the program
 */
export async function startProgram(
  command: Command,
  config: Config,
  parts: Parts,
  logger: Logger,
): Promise<Program> {
  const running: Running = { phase: 'starting' }
  const steps = createStopSteps(logger)
  async function stop(): Promise<void> {
    running.phase = 'stopping'
    await steps.run()
  }
  try {
    const ports = await startParts({ command, config, parts, logger, steps }, running)
    running.phase = 'up'
    return { ...ports, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

// HTTP comes first: probes are answered while the rest starts, and a port that is taken shows
// before anybody has connected. It goes last, as steps are stopped in reverse: the bridge says
// `offline` while there is a broker to say it to, then the broker drains.
async function startParts(start: Start, running: Running): Promise<Omit<Program, 'stop'>> {
  const { command, steps } = start
  const http = createHttpServer({
    problems: () => problems(running),
    metrics: () => metrics(running),
  })
  steps.add('http', () => closeHttpServer(http))
  const httpPort = await openHttp(start, http)
  if (command !== 'bridge') running.broker = await openBroker(start, http)
  if (command !== 'broker') running.bridge = await openBridge(start, running.broker)
  const mqttPort = running.broker?.mqttPort
  return {
    ...(httpPort !== undefined && { httpPort }),
    ...(typeof mqttPort === 'number' && { mqttPort }),
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

async function openBroker({ config, parts, logger, steps }: Start, http: Server): Promise<Broker> {
  try {
    const broker = await parts.createBroker(brokerOptions(config, http, logger))
    steps.add('broker', async () => {
      await broker.drain()
      await broker.close()
    })
    return broker
  } catch (error) {
    throw explainListen(error, config.host, config.mqttPort, 'mqtt-port')
  }
}

/** A bridge beside the broker of this process, or else alone, attached to the one that is named. */
async function openBridge(start: Start, broker: Broker | undefined): Promise<Bridge> {
  const { config, parts, logger, steps } = start
  const create = async (link: Link, alone: boolean): Promise<Bridge> => {
    const bridge = await parts.createBridge(bridgeOptions(config, link, alone, logger))
    steps.add('bridge', () => bridge.close())
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

function problems({ phase, bridge }: Running): readonly string[] {
  if (phase === 'starting') return ['the program is starting']
  if (phase === 'stopping') return ['the program is stopping']
  return bridge?.ready === false ? ['the bridge has no broker, or has not called the roll yet'] : []
}

function metrics({ broker, bridge, phase }: Running): MetricGroups {
  return {
    process: processMetrics(),
    server: { ready: Number(phase === 'up' && bridge?.ready !== false) },
    ...(broker && { broker: broker.metrics() }),
    ...(bridge && { bridge: bridge.metrics() }),
  }
}
