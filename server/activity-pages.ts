import { isIP } from 'node:net'
import type { IncomingMessage } from 'node:http'
import type { Bridge } from '../bridge/index.ts'
import { parseAt, parseSpan } from './activity-times.ts'

/** An answer as JSON. */
export interface ActivityAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What is asked is a path; a URL needs more than that. */
const BASE = 'http://presence'

/**
 * Answers who was when where: `/activity/users/alice?day=2026-03-01`, or `from` and `to` in place of
 * `day`, and `/activity/rooms/lobby?at=2026-03-01T09:00:00Z`. Days are UTC's; what is to come is refused.
 *
 * @returns undefined for any other path
 */
export function activityAt(
  request: IncomingMessage,
  bridge: () => Bridge | undefined,
): Promise<ActivityAnswer> | undefined {
  const { url: target = '/' } = request
  if (!target.startsWith('/activity/') || !URL.canParse(target, BASE)) return undefined
  const url = new URL(target, BASE)
  const [, , kind, name, ...rest] = url.pathname.split('/')
  if (rest.length > 0 || !name) return undefined
  if (kind !== 'users' && kind !== 'rooms') return undefined
  return answer(request, kind, name, url.searchParams, bridge())
}

async function answer(
  request: IncomingMessage,
  kind: 'users' | 'rooms',
  name: string,
  query: URLSearchParams,
  bridge: Bridge | undefined,
): Promise<ActivityAnswer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...refuse(405, 'expected GET or HEAD'), headers: { allow: 'GET, HEAD' } }
  }
  // Nobody has to prove who he is here, so only this machine may ask, and not through a proxy on it.
  if (!isLocal(request)) return refuse(403, 'expected a request from this machine')
  if (!bridge?.ready) return refuse(503, 'the bridge is not ready')
  const decoded = decode(name)
  if (decoded === undefined) return refuse(400, 'expected a name with %25 for each %')
  if (kind === 'rooms') {
    const at = parseAt(query, Date.now())
    return at.ok ? json(200, await bridge.roomAt(decoded, at.value)) : refuse(400, at.error)
  }
  const span = parseSpan(query, Date.now())
  return span.ok
    ? json(200, await bridge.onlineTime(decoded, ...span.value))
    : refuse(400, span.error)
}

function decode(name: string): string | undefined {
  try {
    return decodeURIComponent(name)
  } catch {
    return undefined
  }
}

function isLocal({ socket, headers }: IncomingMessage): boolean {
  const isForwarded = 'x-forwarded-for' in headers || 'forwarded' in headers
  const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? ''
  const isHere = address === '::1' || address.startsWith('127.')
  return isHere && !isForwarded && namesThisMachine(headers.host)
}

/** Not by a name that somebody may have pointed here, so that a page of theirs in a browser here could ask. */
function namesThisMachine(host = ''): boolean {
  const name = host.replace(/:\d+$/, '')
  return name === 'localhost' || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
}

function refuse(status: number, error: string): ActivityAnswer {
  return json(status, { error })
}

function json(status: number, value: unknown): ActivityAnswer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}
