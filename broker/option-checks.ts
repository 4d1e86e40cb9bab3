import * as v from 'valibot'
import { DEFAULT_DOCUMENT_LIMITS, isValidId, type DocumentLimits } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import {
  expected,
  NUMBER,
  objectOf,
  objectWith,
  partWith,
  TEXT,
  wholeFrom,
  type Schema,
} from '../runtime/option-checks.ts'
import type { RedisAddress } from '../runtime/redis/connection.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { DEFAULT_LIMITS, type Limits } from './limits/limits.ts'
import type { BrokerOptions } from './options.ts'

const HOUR_MS = 3_600_000

/** The largest that MQTT can say. */
const MAX_PACKET_SIZE = 268_435_455

const PORT = v.pipe(NUMBER, v.integer(), v.minValue(0), v.maxValue(65_535))

const name = expected('an id of 1 to 256 characters', v.pipe(v.string(), v.check(isValidId)))
const texts = expected('a list', v.array(expected('text', TEXT)))
const word = expected(
  'allow, deny or a list',
  v.pipe(v.string(), v.values(['allow', 'deny'])) as Schema<'allow' | 'deny'>,
)

/** What each option of `createBroker` must be. */
export const BROKER_OPTIONS: Schema<BrokerOptions> = objectOf<BrokerOptions>({
  id: name,
  root: expected('text', TEXT),
  host: expected('an address or a host name', TEXT),
  mqttPort: expected('a port from 0 to 65535, or false', v.union([PORT, v.literal(false)])),
  tls: objectWith<NonNullable<BrokerOptions['tls']>>({
    port: expected('a port from 0 to 65535', PORT),
  }),
  trustedProxies: texts,
  origins: texts,
  httpServer: partWith<NonNullable<BrokerOptions['httpServer']>>('on'),
  livenessTimeoutMs: numberFrom(2000, HOUR_MS),
  keepaliveToleranceMs: numberFrom(0, HOUR_MS),
  heartbeatMs: numberFrom(100, 5000),
  documentLimits: objectOf<Partial<DocumentLimits>>({
    maxDocumentSize: wholeFrom(1),
    maxRooms: wholeFrom(0),
    maxDepth: wholeFrom(2, DEFAULT_DOCUMENT_LIMITS.maxDepth),
  }),
  maxPacketSize: wholeFrom(1024, MAX_PACKET_SIZE),
  maxConnectSize: wholeFrom(1024, MAX_PACKET_SIZE),
  connectTimeoutMs: numberFrom(100, HOUR_MS),
  packetTimeoutMs: numberFrom(100, HOUR_MS),
  maxQueuedBytes: wholeFrom(1024),
  maxTopicLevels: wholeFrom(4, 100),
  authenticator: partWith<Authenticator>('authenticate'),
  allowGuests: expected('true or false', v.boolean()),
  defaultRooms: texts,
  appTopics: v.lazy((value) => (typeof value === 'string' ? word : texts)),
  // Their bounds are checked where their defaults are.
  limits: objectOf<Partial<Limits>>(
    v.entriesFromList(
      Object.keys(DEFAULT_LIMITS) as (keyof Limits)[],
      expected('a number', NUMBER),
    ),
  ),
  bridgeUser: name,
  cluster: objectWith<RedisAddress>({ url: expected('the URL of Redis', TEXT) }),
  logger: partWith<Logger>('debug', 'info', 'warn', 'error'),
  clock: partWith<Clock>('now', 'after'),
})

function numberFrom(min: number, max: number): Schema<number> {
  const schema = v.pipe(NUMBER, v.minValue(min), v.maxValue(max))
  return expected(`a number from ${min} to ${max}`, schema)
}
