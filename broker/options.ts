import type { Server } from 'node:http'
import { DEFAULT_DOCUMENT_LIMITS, parseRoot, type DocumentLimits } from '../protocol/index.ts'
import { systemClock, type Clock } from '../runtime/clock.ts'
import { silentLogger, type Logger } from '../runtime/logger.ts'
import { checkOptions, definedOf } from '../runtime/option-checks.ts'
import type { RedisAddress } from '../runtime/redis/connection.ts'
import type { AppTopics } from './auth/app-topics.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { resolveLimits, type Limits } from './limits/limits.ts'
import { BROKER_OPTIONS } from './option-checks.ts'
import type { TlsOptions } from './transport/tcp-listener.ts'

/** Options of `createBroker`. */
export interface BrokerOptions {
  /** The broker's name: new for every start, since what it knew is gone with it. @default a random one */
  readonly id?: string
  /** The prefix of the presence topics. @default 'presence' */
  readonly root?: string
  /** The address of the MQTT port. @default '127.0.0.1' */
  readonly host?: string
  /** The MQTT port; 0 for any free one, false for none. @default 1883 */
  readonly mqttPort?: number | false
  /** MQTT over TLS: its port, 0 for any free one, and its certificates. @default none */
  readonly tls?: TlsOptions & { readonly port: number }
  /**
   * The proxies, as addresses and networks, that may say for whom they speak: by the PROXY protocol over TCP,
   * by `X-Forwarded-For` over WebSocket. @default none
   */
  readonly trustedProxies?: readonly string[]
  /**
   * Whose web pages may open WebSockets, as patterns of origins. @default with an authenticator everybody's;
   * without, those of this machine, and of this server's own name unless it is bound to loopback
   */
  readonly origins?: readonly string[]
  /** An HTTP server that takes WebSockets on `/mqtt`. @default none */
  readonly httpServer?: Server
  /** How long an idle peer may be out of reach before it counts as dead, in milliseconds. @default 20000 */
  readonly livenessTimeoutMs?: number
  /**
   * How late the keepalive of a WebSocket may be while it answers pings, in milliseconds: what the
   * throttled timers of a hidden tab need. @default 60000
   */
  readonly keepaliveToleranceMs?: number
  /** How often the broker says that it is there, in milliseconds. @default 2000 */
  readonly heartbeatMs?: number
  /** Bounds on connection documents. */
  readonly documentLimits?: Partial<DocumentLimits>
  /** The largest MQTT packet, in bytes. @default 2 MiB */
  readonly maxPacketSize?: number
  /** The largest CONNECT, in bytes: all that a stranger can have kept for it. @default 64 KiB */
  readonly maxConnectSize?: number
  /** How long a socket may be without a complete CONNECT, in milliseconds. @default 10000 */
  readonly connectTimeoutMs?: number
  /**
   * How long a packet may take from its first byte to its last, in milliseconds; large ones get a second
   * more for each KiB that has come. @default 10000
   */
  readonly packetTimeoutMs?: number
  /** Bytes that may wait for one slow reader before it is cut. @default 8 MiB */
  readonly maxQueuedBytes?: number
  /** The most levels of a topic, from 1 to 100. @default 32 */
  readonly maxTopicLevels?: number
  /** Finds out who clients are. @default nobody is asked: everybody is who he says */
  readonly authenticator?: Authenticator
  /**
   * With an authenticator: whether clients without credentials may come in. They are not present and read
   * what `defaultRooms` lets them. @default false
   */
  readonly allowGuests?: boolean
  /** The rooms of those whose claims name none, as patterns. @default ['*'] */
  readonly defaultRooms?: readonly string[]
  /** What clients may do with topics outside the root. @default 'allow'; with an authenticator 'deny' */
  readonly appTopics?: AppTopics
  /** What one client, one user, one address and all together may use. */
  readonly limits?: Partial<Limits>
  /**
   * Without an authenticator: the user name by which bridges of other processes are known; they alone may
   * write what people read. With one, a bridge is known by the claim `admin`.
   * @default none: the bridge is in this process
   */
  readonly bridgeUser?: string
  /**
   * The Redis by which this broker and others are one: a message that is published at one of them reaches the
   * readers of all, and a client may move from one to the other. @default this broker is alone
   */
  readonly cluster?: RedisAddress
  /** @default silent */
  readonly logger?: Logger
  /** @default the system's */
  readonly clock?: Clock
}

/** Options with their defaults. */
export type ResolvedOptions = Required<
  Omit<
    BrokerOptions,
    | 'httpServer'
    | 'documentLimits'
    | 'bridgeUser'
    | 'authenticator'
    | 'limits'
    | 'tls'
    | 'origins'
    | 'cluster'
  >
> & {
  readonly tls: BrokerOptions['tls'] | undefined
  readonly origins: readonly string[] | undefined
  readonly authenticator: Authenticator | undefined
  readonly limits: Limits
  readonly httpServer: Server | undefined
  readonly documentLimits: DocumentLimits
  readonly bridgeUser: string | undefined
  readonly cluster: RedisAddress | undefined
}

/**
 * Fills in the defaults and checks them.
 *
 * @throws RangeError or TypeError that says which option, what was expected and what came
 */
export function resolveOptions(given: BrokerOptions): ResolvedOptions {
  const options = checkOptions('createBroker', given, BROKER_OPTIONS)
  const root = parseRoot(options.root ?? 'presence')
  if (!root.ok) throw new RangeError(`root: ${root.error}`)
  return {
    id: globalThis.crypto.randomUUID(),
    host: '127.0.0.1',
    mqttPort: 1883,
    httpServer: undefined,
    livenessTimeoutMs: 20_000,
    keepaliveToleranceMs: 60_000,
    heartbeatMs: 2000,
    maxPacketSize: 2 * 1024 * 1024,
    maxConnectSize: 64 * 1024,
    connectTimeoutMs: 10_000,
    packetTimeoutMs: 10_000,
    maxQueuedBytes: 8 * 1024 * 1024,
    maxTopicLevels: 32,
    bridgeUser: undefined,
    cluster: undefined,
    tls: undefined,
    trustedProxies: [],
    origins: undefined,
    authenticator: undefined,
    allowGuests: false,
    defaultRooms: ['*'],
    appTopics: options.authenticator ? 'deny' : 'allow',
    logger: silentLogger,
    clock: systemClock,
    ...options,
    root: root.value,
    documentLimits: { ...DEFAULT_DOCUMENT_LIMITS, ...definedOf(options.documentLimits ?? {}) },
    limits: resolveLimits(definedOf(options.limits ?? {})),
  }
}
