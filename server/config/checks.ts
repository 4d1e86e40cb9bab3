import { show } from '../../protocol/result.ts'
import { isLoopbackName } from '../../broker/transport/origins.ts'
import type { Given } from './given.ts'

/** A value that somebody gave to an option, with what it was read as. */
export interface Checked extends Given {
  readonly value: unknown
}

/** The checks that need more than one option, or the command; a sentence for each that fails. */
export function checkTogether(
  command: string,
  byKey: ReadonlyMap<string, Checked>,
): readonly string[] {
  const order = [...byKey.values()].map((checked) => checkOrder(checked, byKey))
  // Nobody connects to a bridge.
  const own = command === 'bridge' ? [] : [checkTls, checkKeys, checkStrangers, checkCluster]
  const problems = own.map((check) => check(byKey))
  return [...order, ...problems, checkBroker(command, byKey)].filter((one) => one !== undefined)
}

function checkOrder(checked: Checked, byKey: ReadonlyMap<string, Checked>): string | undefined {
  const most = byKey.get(checked.option.spec.atMost ?? '')
  if (!most || Number(checked.value) <= Number(most.value)) return undefined
  return `${checked.source}: expected at most ${written(most)} (${most.source}), got ${written(checked)}`
}

/** The options by which clients prove who they are. */
const KEYS = ['jwtSecret', 'jwtKey', 'jwksUrl']
const PROOFS = [...KEYS, 'passwords', 'tlsCa']

function checkCluster(byKey: ReadonlyMap<string, Checked>): string | undefined {
  const cluster = byKey.get('cluster')
  if (cluster?.value !== true || byKey.has('redis.url')) return undefined
  return `${cluster.source} needs --redis, by which the brokers are one, got nothing`
}

function checkTls(byKey: ReadonlyMap<string, Checked>): string | undefined {
  const [cert, key, ca] = ['tlsCert', 'tlsKey', 'tlsCa'].map((name) => byKey.get(name))
  if (cert && !key) return `${cert.source} needs --tls-key, got nothing`
  if (key && !cert) return `${key.source} needs --tls-cert, got nothing`
  if (ca && !cert) return `${ca.source} needs --tls-cert and --tls-key, got nothing`
  return undefined
}

function checkKeys(byKey: ReadonlyMap<string, Checked>): string | undefined {
  const [one, other] = KEYS.flatMap((name) => byKey.get(name) ?? [])
  if (one && other) return `expected one key for tokens, got ${one.source} and ${other.source}`
  const aside = byKey.get('jwtAudience') ?? byKey.get('jwtIssuer')
  if (aside && !one) {
    return `${aside.source} needs one of --jwt-secret, --jwt-key and --jwks-url, got nothing`
  }
  const secret = byKey.get('jwtSecret')
  const length = typeof secret?.value === 'string' ? Buffer.byteLength(secret.value) : 0
  return secret && length < 32
    ? `${secret.source}: expected at least 32 bytes, got ${length}`
    : undefined
}

function checkStrangers(byKey: ReadonlyMap<string, Checked>): string | undefined {
  const host = byKey.get('host')
  if (!host || isLoopbackName(String(host.value))) return undefined
  if (byKey.get('allowAnonymous')?.value === true) return undefined
  if (PROOFS.some((name) => byKey.has(name))) return undefined
  return (
    `${host.source}: on ${String(host.value)} anybody could connect under any name; say how clients prove ` +
    'who they are with --jwt-secret, --jwt-key, --jwks-url, --passwords or --tls-ca, or let everybody in ' +
    'with --allow-anonymous'
  )
}

function checkBroker(command: string, byKey: ReadonlyMap<string, Checked>): string | undefined {
  const broker = byKey.get('broker')
  if (!broker) {
    return command === 'bridge'
      ? 'bridge needs a broker to attach to, such as --broker mqtt://127.0.0.1:1883'
      : undefined
  }
  if (command !== 'bridge') {
    return `${broker.source} is for the command bridge, got the command ${command}`
  }
  const password = byKey.get('brokerPassword')
  const named = byKey.has('brokerUsername') || new URL(String(broker.value)).username !== ''
  // [MQTT-3.1.2-22] A CONNECT with a password has a user name.
  return password && !named
    ? `${password.source} needs --broker-username or PRESENCE_BROKER_USERNAME, got neither`
    : undefined
}

function written({ raw }: Given): string {
  return typeof raw === 'string' ? raw : show(raw)
}
