import { DEFAULT_DOCUMENT_LIMITS, isValidId } from '../protocol/index.ts'
import {
  anything,
  flag,
  listOf,
  numberFrom,
  objectWith,
  partWith,
  port,
  recordOf,
  text,
  wholeFrom,
  wordOr,
  type OptionChecks,
} from '../runtime/option-checks.ts'
import { DEFAULT_LIMITS } from './limits/limits.ts'
import type { BrokerOptions } from './options.ts'

const HOUR_MS = 3_600_000

/** The largest that MQTT can say. */
const MAX_PACKET_SIZE = 268_435_455

const name = text('an id of 1 to 256 characters', isValidId)

/** What each option of `createBroker` must be. */
export const OPTION_CHECKS: OptionChecks<BrokerOptions> = {
  id: name,
  root: text(),
  host: text('an address or a host name'),
  mqttPort: port(false),
  tls: objectWith({ port: port() }),
  trustedProxies: listOf(text()),
  origins: listOf(text()),
  httpServer: partWith('on'),
  livenessTimeoutMs: numberFrom(2000, HOUR_MS),
  keepaliveToleranceMs: numberFrom(0, HOUR_MS),
  heartbeatMs: numberFrom(100, 5000),
  documentLimits: recordOf({
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
  authenticator: partWith('authenticate'),
  allowGuests: flag,
  defaultRooms: listOf(text()),
  appTopics: wordOr(['allow', 'deny'], listOf(text())),
  // Their values are checked where their defaults are.
  limits: recordOf(
    Object.fromEntries(Object.keys(DEFAULT_LIMITS).map((limit) => [limit, anything])),
  ),
  bridgeUser: name,
  cluster: objectWith({ url: text('the URL of Redis') }),
  logger: partWith('debug', 'info', 'warn', 'error'),
  clock: partWith('now', 'after'),
}
