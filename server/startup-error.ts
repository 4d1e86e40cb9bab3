import { OneOfSeveral, withoutPassword } from '../runtime/redis/connection.ts'

/** Why the program cannot start, in one sentence for whoever started it. */
export class StartupError extends Error {
  override readonly name = 'StartupError'
}

/** The sentence for an address that cannot be listened on; the error itself when it is another one. */
export function explainListen(error: unknown, host: string, port: number, flag: string): unknown {
  const choose = `choose another with --${flag} or PRESENCE_${flag.replaceAll('-', '_').toUpperCase()}`
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return startupError(`port ${port} on ${host} is already in use; ${choose}`, error)
    case 'EACCES':
      return startupError(`port ${port} on ${host} is not allowed to this user; ${choose}`, error)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return startupError(
        `${host} is no address of this machine; choose another with --host or PRESENCE_HOST`,
        error,
      )
    default:
      return error
  }
}

/** By the error's code or its message. */
const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it closed the connection',
  EAI_AGAIN: 'the host is not known',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'the host is not known',
  // What MQTT.js says when nothing has come in time.
  'connack timeout': 'it does not answer',
}

/** The sentence for a broker that a bridge cannot use; the error itself when it is a bug. */
export function explainBroker(error: unknown, url: string): unknown {
  if (isBug(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  const why = WHY[errorCode(error) ?? ''] ?? WHY[message] ?? message.split('\n', 1)[0]
  return startupError(
    `cannot use the broker at ${url}: ${why}; check --broker or PRESENCE_BROKER`,
    error,
  )
}

/** The sentence for a Redis that cannot be used. */
export function explainRedis(error: unknown, url: string): unknown {
  if (isBug(error)) return error
  const subject = `cannot use the Redis at ${withoutPassword(url)}`
  const cause = error instanceof Error ? error.cause : undefined
  const code = errorCode(error) ?? ''
  const message = [cause, error].find((one) => one instanceof Error)?.message ?? String(error)
  // What Redis says may end as a sentence does.
  const said = message.split('\n', 1)[0]?.replace(/[\s.;]+$/, '')
  if (error instanceof OneOfSeveral) {
    return startupError(`${subject}: ${message}; set --redis-topology cluster`, error)
  }
  const why = WHY[code] ?? (/timeout/i.test(message) ? 'it does not answer' : said)
  return startupError(`${subject}: ${why}; check --redis or PRESENCE_REDIS_URL`, error)
}

function startupError(sentence: string, cause: unknown): StartupError {
  return new StartupError(sentence, { cause })
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  return errorCode(error.cause)
}

function isBug(error: unknown): boolean {
  return [ReferenceError, RangeError, TypeError].some((kind) => error instanceof kind)
}
