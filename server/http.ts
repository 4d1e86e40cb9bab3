import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homePage } from './home-page.ts'
import { formatMetrics, METRICS_TYPE, type MetricGroups } from './metrics.ts'

/** What the HTTP side wants to know of the program. */
interface HttpSources {
  /** Why the program is not ready; nothing when it is. */
  problems(): readonly string[]
  metrics(): MetricGroups
}

interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/**
 * Creates the HTTP server: health, readiness, metrics and a page. It does not listen yet; the broker
 * takes MQTT over WebSocket (`/mqtt`) from its upgrades.
 */
export function createHttpServer(sources: HttpSources): Server {
  // No request has a body worth waiting for.
  const limits = { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 16_384 }
  return createServer(limits, (request, response) => {
    request.resume()
    send(request, response, answer(request, sources))
  })
}

function answer(request: IncomingMessage, sources: HttpSources): Answer {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
  const page = pageAt(path, sources)
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
