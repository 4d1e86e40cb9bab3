import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { hostname } from 'node:os'
import type { Broker, BrokerOptions, Limits } from '../broker/index.ts'
import type {
  BridgeOptions,
  Link,
  MqttLinkOptions,
  RedisStoreOptions,
  Store,
} from '../bridge/index.ts'
import type { DocumentLimits } from '../protocol/connection-document.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Config } from './config/options.ts'
import type { Security } from './security.ts'

/**
 * What the configuration means for the broker.
 *
 * @param alone whether its bridges run in other processes
 */
export function brokerOptions(
  config: Config,
  httpServer: Server,
  alone: boolean,
  logger: Logger,
  security: Security = { allowGuests: false },
): BrokerOptions {
  const { authenticator, allowGuests, tls } = security
  const cluster = config.cluster ? redisAddress(config) : undefined
  return {
    ...(authenticator && { authenticator, allowGuests }),
    ...(tls && { tls: { ...tls, port: config.mqttsPort } }),
    ...(config.origins && { origins: config.origins }),
    ...(config.appTopics !== undefined && { appTopics: config.appTopics }),
    trustedProxies: config.trustedProxy,
    defaultRooms: config.defaultRooms,
    limits: limits(config, authenticator === undefined),
    id: brokerId(config),
    ...(cluster && { cluster, heartbeatMs: CLUSTER_HEARTBEAT_MS }),
    // In a cluster bridges may run beside those of the servers.
    ...((alone || cluster) && { bridgeUser: config.bridgeUser }),
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
 * @param broker the broker in this process
 */
export function bridgeOptions(
  config: Config,
  link: Link,
  alone: boolean,
  logger: Logger,
  store?: Store,
  broker?: Broker,
): BridgeOptions {
  return {
    link,
    ...(store && { store }),
    // One of several has a bridge of its own, which cares for its connections.
    ...(config.cluster && broker !== undefined
      ? {
          id: broker.id,
          scope: { broker: broker.id, hearsOthers: () => broker.isConnected },
        }
      : { id: bridgeId(config) }),
    journal: alone && !store,
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

/** What the configuration means for a store in Redis; undefined when it is to be in this process. */
export function redisOptions(config: Config, logger: Logger): RedisStoreOptions | undefined {
  const address = redisAddress(config)
  // Bridges share their presence when they share its topics.
  return address && { ...address, prefix: encodeURIComponent(config.root), logger }
}

function redisAddress({ redis }: Config): Omit<RedisStoreOptions, 'prefix'> | undefined {
  const { url, topology, nodes, sentinelName } = redis
  return url === undefined ? undefined : { url, topology, nodes, sentinelName }
}

/** How often one of several brokers beats, in milliseconds: a grace that ends waits for who has missed two beats. */
const CLUSTER_HEARTBEAT_MS = 500

/** What of a prefix fits into an id beside what is new. */
const MAX_PREFIX = 247

/** A name for one start: what a broker knew is gone with it, and a ghost of it would seem to live on. */
function brokerId({ brokerId: prefix }: Config): string {
  return prefix === undefined
    ? randomUUID()
    : `${prefix.slice(0, MAX_PREFIX)}-${randomUUID().slice(0, 8)}`
}

/** How long a bridge that starts waits for its broker, in milliseconds. */
const BROKER_DEADLINE_MS = 10_000

/**
 * What the configuration means for a link to the broker at `url`. The user name and the password
 * leave the URL, so that it can be logged.
 */
export function linkOptions(config: Config, url: string, logger: Logger): MqttLinkOptions {
  const address = new URL(url)
  const username =
    config.brokerUsername ?? (decodeURIComponent(address.username) || config.bridgeUser)
  const password = config.brokerPassword ?? decodeURIComponent(address.password)
  address.username = ''
  address.password = ''
  return {
    url: address.href,
    username,
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

/** More than any client can do. */
const UNLIMITED = 1_000_000_000

/** @param isOpen whether everybody is who he says: then rates of a user keep nobody out, and hinder honest ones */
function limits(config: Config, isOpen: boolean): Limits {
  const { maxMessagesPerSecond, maxDocumentsPerSecond } = config
  return {
    maxConnections: config.maxConnections,
    maxConnectionsPerAddress: config.maxPerAddress,
    maxConnectsPerSecond: config.maxConnectsPerSecond,
    maxConnectionsPerUser: config.maxConnectionsPerUser,
    maxMessagesPerSecond: maxMessagesPerSecond ?? (isOpen ? UNLIMITED : 250),
    maxDocumentsPerSecond: maxDocumentsPerSecond ?? (isOpen ? UNLIMITED : 50),
    maxSubscriptions: config.maxSubscriptions,
    maxSessions: config.maxSessions,
    maxSessionsPerUser: config.maxSessionsPerUser,
    maxSessionQueue: config.maxSessionQueue,
    sessionExpiryMs: config.sessionExpiry,
    maxRetained: config.maxRetained,
    maxRoomsInAll: config.maxRoomsInAll,
    maxMembers: config.maxMembers,
  }
}

function documentLimits(config: Config): Partial<DocumentLimits> {
  return { maxDocumentSize: config.maxDocumentSize, maxRooms: config.maxRooms }
}
