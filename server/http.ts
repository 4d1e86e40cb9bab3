import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { activityAt } from './activity-pages.ts'
import type { Bridge } from '../bridge/index.ts'
import { clientFileAt, type ClientFile } from './client-files.ts'
import type { TlsOptions } from '../broker/index.ts'
import { homePage } from './home-page.ts'
import { formatMetrics, METRICS_TYPE, type MetricGroups } from './metrics.ts'

/** What the HTTP side wants to know of the program. */
interface HttpSources {
  /** Why the program is not ready; nothing when it is. */
  problems(): readonly string[]
  metrics(): MetricGroups
  /** Who knows what was. */
  bridge?(): Bridge | undefined
  /** What the demo page has to know: the topics' root and the graces, in milliseconds. */
  demo?(): { readonly root: string; readonly grace: Readonly<Record<string, number>> }
  /** Somebody says that a page is unloading, and shows the key of its connection. */
  unload?(key: string): boolean
}

interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** Of a server with TLS: browsers do not try it without for half a year (RFC 6797). */
const ONLY_TLS = { 'strict-transport-security': 'max-age=15552000' }

/** For the demo page: what it needs, all of it from here. */
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src data:; " +
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

const SCRIPT_HEADERS = {
  // Pages of other origins may load it; its content is public.
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  // A worker has the policy it is served with, not that of its page.
  'content-security-policy': "default-src 'none'; script-src 'self'; connect-src * ws: wss:",
}

/**
 * Creates the HTTP server: health, readiness, metrics, a page, the browser client and its unload hints.
 * It does not listen yet; the broker takes MQTT over WebSocket (`/mqtt`) from its upgrades.
 */
export function createHttpServer(sources: HttpSources, tls?: TlsOptions): Server {
  // No request has a body worth waiting for.
  const limits = { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 16_384 }
  const listener: RequestListener = (request, response) => {
    if (tls) for (const [name, value] of Object.entries(ONLY_TLS)) response.setHeader(name, value)
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    if (path === '/unload' && request.method === 'POST') return takeHint(request, response, sources)
    request.resume()
    const activity = activityAt(request, () => sources.bridge?.())
    if (!activity) return send(request, response, answer(path, request, sources))
    activity.then(
      (found) => send(request, response, found),
      () => send(request, response, { status: 503, body: 'the store does not answer\n' }),
    )
  }
  // Who has no certificate may have a token, or may just look.
  const secure = { ...limits, ...tls, rejectUnauthorized: false, minVersion: 'TLSv1.2' } as const
  return tls ? createSecureServer(secure, listener) : createServer(limits, listener)
}

/** The longest unload hint, in bytes. */
const MAX_HINT = 1024

/**
 * A page posts its connection's unload key with `sendBeacon`, which gets out when nothing else does. The
 * answer is the same whatever was posted: it is no way to try keys.
 */
function takeHint(request: IncomingMessage, response: ServerResponse, sources: HttpSources): void {
  let hint = ''
  request.setEncoding('utf8')
  request.on('data', (part: string) => {
    if (hint.length <= MAX_HINT) hint += part
  })
  request.on('end', () => {
    if (hint !== '' && hint.length <= MAX_HINT) sources.unload?.(hint)
    send(request, response, { status: 204, body: '' })
  })
}

function answer(path: string, request: IncomingMessage, sources: HttpSources): Answer {
  if (path === '/unload')
    return { status: 405, body: 'expected POST\n', headers: { allow: 'POST' } }
  const file = clientFileAt(path)
  const page = file ? () => clientFile(request, file) : pageAt(path, sources)
  if (page === undefined) return { status: 404, body: 'not found\n' }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'expected GET or HEAD\n', headers: { allow: 'GET, HEAD' } }
  }
  return page()
}

function pageAt(path: string, sources: HttpSources): (() => Answer) | undefined {
  switch (path) {
    case '/':
      return () => ({ status: 200, type: 'text/html; charset=utf-8', body: homePage })
    case '/healthz':
      return () => ({ status: 200, body: 'ok\n' })
    case '/readyz':
      return () => readiness(sources.problems())
    case '/demo.json':
      return () => ({
        status: 200,
        type: 'application/json',
        body: JSON.stringify(sources.demo?.() ?? {}),
      })
    case '/metrics':
      return () => ({ status: 200, type: METRICS_TYPE, body: formatMetrics(sources.metrics()) })
    case '/mqtt':
      return () => ({
        status: 426,
        body: 'expected a WebSocket with the subprotocol mqtt\n',
        headers: { connection: 'Upgrade', upgrade: 'websocket' },
      })
    default:
      return undefined
  }
}

function clientFile(request: IncomingMessage, file: ClientFile): Answer {
  const { type, etag } = file
  const headers = {
    // Always asked for again, seldom sent again: page and worker have to be of one version.
    'cache-control': 'no-cache',
    etag,
    vary: 'accept-encoding',
    ...(type.startsWith('text/html') ? PAGE_HEADERS : SCRIPT_HEADERS),
  }
  if (request.headers['if-none-match'] === etag) return { status: 304, type, body: '', headers }
  const gzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  if (!gzip) return { status: 200, type, body: file.body, headers }
  return {
    status: 200,
    type,
    body: file.gzipped,
    headers: { ...headers, 'content-encoding': 'gzip' },
  }
}

function readiness(reasons: readonly string[]): Answer {
  const ready = reasons.length === 0
  return {
    status: ready ? 200 : 503,
    type: 'application/json',
    body: `${JSON.stringify({ ready, reasons })}\n`,
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, headers }: Answer,
): void {
  response.writeHead(status, {
    ...HEADERS,
    ...headers,
    'content-type': type ?? 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** Listens and gives the port, which matters when any free one was asked for. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** Stops listening and ends what is open; does nothing when the server does not listen. */
export function closeHttpServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Its only error says that it was not listening.
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
