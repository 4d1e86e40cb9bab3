import { execFile } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PACKAGE_ROOT } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'

/**
 * A web site of its own with the client's files as they are, and `/mqtt` and `/unload` handed on to a
 * presence server: a static server behind which the network can be taken away.
 */
export interface Site {
  readonly origin: string
  /** The address of the test page with these options for `connectPresence`. */
  page(options: PageOptions): string
  /** Cuts every connection and takes no new ones, or takes them again. */
  setNetwork(up: boolean): void
  /** Hands on to another server from now on. */
  setTarget(port: number): void
  /** Serves another file, or what a function answers at each request. */
  serve(path: string, type: string, body: string | (() => Promise<string>)): void
  /** Connections to `/mqtt` so far. */
  readonly upgrades: number
  /** Unload hints by HTTP so far. */
  readonly hints: number
}

/** What the test page is told. */
export interface PageOptions {
  readonly [option: string]: unknown
  /** Rooms to join. */
  readonly rooms?: Readonly<Record<string, unknown>>
  /** Another policy than `default-src 'self'`; the empty one for none. */
  readonly csp?: string
  /** Script to import the client from. */
  readonly client?: string
}

const SCRIPT = `
const given = JSON.parse(new URLSearchParams(location.search).get('o'))
const { rooms = {}, csp, client = '/client.js', ...options } = given
addEventListener('pagehide', () => localStorage.setItem('gone ' + given.user, Date.now()))
const began = performance.now()
const { connectPresence } = await import(client)
globalThis.connectPresence = connectPresence
if (options.getToken) options.getToken = eval(options.getToken)
globalThis.states = []
globalThis.events = []
const before = performance.now()
globalThis.presence = connectPresence({ url: '/mqtt', ...options })
globalThis.cost = { import: before - began, connect: performance.now() - before }
presence.on('state', (state) => {
  states.push(state)
  if (state.state === 'online') cost.online ??= performance.now() - before
})
globalThis.rooms = {}
globalThis.ticks = []
setInterval(() => ticks.push(performance.now()), 1000)
for (const [name, data] of Object.entries(rooms)) {
  const room = (globalThis.rooms[name] = presence.room(name, data))
  for (const event of ['join', 'leave', 'update']) {
    room.on(event, ({ user }) => events.push([event, user]))
  }
}
`

/** mqtt.js on the main thread, as most pages have it; counts how often it was dropped. */
const PLAIN_SCRIPT = `
import mqtt from '/mqtt.js'
const { port, keepalive, timers } = JSON.parse(new URLSearchParams(location.search).get('o'))
globalThis.drops = 0
globalThis.ups = 0
const client = mqtt.connect('ws://127.0.0.1:' + port + '/mqtt', {
  keepalive,
  timerVariant: timers,
  reconnectPeriod: 200,
})
client.on('connect', () => ups++)
client.on('close', () => drops++)
`

let bundling: Promise<unknown> | undefined

/** Brings the bundles in `dist/client` up to date, once for all tests. */
export function bundle(): Promise<unknown> {
  const script = ['tsx', 'scripts/build-client.ts']
  return (bundling ??= promisify(execFile)('npx', script, { cwd: PACKAGE_ROOT }))
}

/** Starts a site in front of a presence server; it ends with the test. */
export async function startSite(target: number): Promise<Site> {
  await bundle()
  const sockets = new Set<Socket>()
  const files = new Map<string, { readonly type: string; readonly body: () => Promise<string> }>()
  let port = target
  let network = true
  let upgrades = 0
  let hints = 0
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(404).end())
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://site')
    if (request.method === 'POST' && url.pathname === '/unload') {
      if (network) {
        hints++
        await handOn(request)
      }
      return void response.writeHead(204).end()
    }
    const file = files.get(url.pathname)
    if (file) {
      const body = await file.body()
      return void response.writeHead(200, { 'content-type': file.type }).end(body)
    }
    if (url.pathname === '/page') {
      const { csp = "default-src 'self'" } = JSON.parse(
        url.searchParams.get('o') ?? '{}',
      ) as PageOptions
      response.writeHead(200, {
        'content-type': 'text/html',
        ...(csp !== '' && { 'content-security-policy': csp }),
      })
      // An empty body: Chromium throttles such a page without waiting a minute.
      return void response.end(
        '<!doctype html><title>test</title><script type="module" src="/page.js"></script>',
      )
    }
    if (url.pathname === '/plain') {
      response.writeHead(200, { 'content-type': 'text/html' })
      return void response.end(
        '<!doctype html><title>plain</title><script type="module" src="/plain.js"></script>',
      )
    }
    if (url.pathname === '/other') {
      response.writeHead(200, { 'content-type': 'text/html' })
      return void response.end('<!doctype html><title>other</title>')
    }
    const type = { 'content-type': 'text/javascript', 'cache-control': 'max-age=60' }
    if (url.pathname === '/page.js') return void response.writeHead(200, type).end(SCRIPT)
    if (url.pathname === '/plain.js') return void response.writeHead(200, type).end(PLAIN_SCRIPT)
    if (url.pathname === '/broken.js') return void response.writeHead(200, type).end('throw 1')
    if (url.pathname === '/mute.js')
      return void response.writeHead(200, type).end('// says nothing')
    const isMqtt = url.pathname === '/mqtt.js'
    const path = isMqtt ? 'node_modules/mqtt/dist/mqtt.esm.js' : join('dist/client', url.pathname)
    const body = await readFile(join(PACKAGE_ROOT, path))
    response.writeHead(200, type).end(body)
  }

  async function handOn(request: IncomingMessage): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    await fetch(`http://127.0.0.1:${port}/unload`, { method: 'POST', body: Buffer.concat(parts) })
  }

  server.on('upgrade', (request, socket: Socket, head) => {
    if (!network) return void socket.destroy()
    upgrades++
    const upstream = connect(port, '127.0.0.1', () => {
      const headers = request.rawHeaders.reduce(
        (text, part, i) => text + part + (i % 2 === 0 ? ': ' : '\r\n'),
        '',
      )
      upstream.write(`GET ${request.url} HTTP/1.1\r\n${headers}\r\n`)
      upstream.write(head)
      upstream.pipe(socket)
      socket.pipe(upstream)
    })
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.setNoDelay(true)
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTeardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    page: (options) => `${origin}/page?o=${encodeURIComponent(JSON.stringify(options))}`,
    setNetwork(up) {
      network = up
      if (!up) for (const socket of sockets) socket.destroy()
    },
    setTarget(next) {
      port = next
    },
    serve(path, type, body) {
      files.set(path, { type, body: typeof body === 'string' ? async () => body : body })
    },
    get upgrades() {
      return upgrades
    },
    get hints() {
      return hints
    },
  }
}
