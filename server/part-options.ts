import type { Server } from 'node:http'
import { hostname } from 'node:os'
import type { BridgeOptions, Link, MqttLinkOptions } from '../bridge/index.ts'
import type { DocumentLimits } from '../protocol/connection-document.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Config } from './config/options.ts'
import type { BrokerOptions } from './parts.ts'

/** What the configuration means for the broker. */
export function brokerOptions(config: Config, httpServer: Server, logger: Logger): BrokerOptions {
  return {
    ...(config.brokerId !== undefined && { id: config.brokerId }),
    root: config.root,
    host: config.host,
    mqttPort: config.mqttPort,
    httpServer,
    livenessTimeoutMs: config.livenessTimeout,
    keepaliveToleranceMs: config.keepaliveTolerance,
    documentLimits: documentLimits(config),
    maxPacketSize: config.maxPacketSize,
    maxQueuedBytes: config.maxQueuedBytes,
    maxTopicLevels: config.maxTopicLevels,
    logger,
  }
}

/**
 * What the configuration means for the bridge.
 *
 * @param alone whether its broker outlives it, so that it has to find its way back after a restart
 */
export function bridgeOptions(
  config: Config,
  link: Link,
  alone: boolean,
  logger: Logger,
): BridgeOptions {
  return {
    link,
    id: bridgeId(config),
    journal: alone,
    root: config.root,
    grace: config.grace,
    roomGrace: config.rooms.grace,
    maxConnectionGraceMs: config.maxConnectionGrace,
    retainedOfflineMs: config.retainedOffline,
    roomPaceMinMs: config.rooms.paceMin,
    roomPaceMaxMs: config.rooms.paceMax,
    announceLimit: config.rooms.announceLimit,
    documentLimits: documentLimits(config),
    maxConnectionsPerUser: config.maxConnectionsPerUser,
    logger,
  }
}

/** How long a bridge that starts waits for its broker, in milliseconds. */
const BROKER_DEADLINE_MS = 10_000

/**
 * What the configuration means for a link to the broker at `url`. The user name and the password
 * leave the URL, so that it can be logged.
 */
export function linkOptions(config: Config, url: string, logger: Logger): MqttLinkOptions {
  const address = new URL(url)
  const username = config.brokerUsername ?? decodeURIComponent(address.username)
  const password = config.brokerPassword ?? decodeURIComponent(address.password)
  address.username = ''
  address.password = ''
  return {
    url: address.href,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    // The same at every start, so that the broker keeps for a bridge what came while it was gone.
    clientId: `${config.root.replaceAll('/', '-')}-bridge-${bridgeId(config)}`,
    root: config.root,
    connectTimeoutMs: BROKER_DEADLINE_MS,
    logger,
  }
}

function bridgeId(config: Config): string {
  return config.bridgeId ?? hostname()
}

function documentLimits(config: Config): Partial<DocumentLimits> {
  return { maxDocumentSize: config.maxDocumentSize, maxRooms: config.maxRooms }
}
