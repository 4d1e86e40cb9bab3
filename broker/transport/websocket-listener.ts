import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { WebSocketServer, type ServerOptions } from 'ws'
import type { OnConnection } from './connection-info.ts'
import type { OriginRule } from './origins.ts'
import { nameInCertificate, type Turnstile } from './tcp-listener.ts'
import type { TrustedProxies } from './trusted-proxies.ts'
import { createWebSocketDuplex, type WebSocketDuplex } from './websocket-duplex.ts'

/** Options of {@link attachWebSocketListener}. */
export interface WebSocketListenerOptions {
  readonly onConnection: OnConnection<WebSocketDuplex>
  /** The path that speaks MQTT. @default '/mqtt' */
  readonly path?: string
  /**
   * The largest frame that is read, in bytes; a larger one closes the connection with 1009. The default
   * has room for a payload of 1 MiB with the longest topic and properties as long.
   * @default 1 MiB + 128 KiB
   */
  readonly maxFrameBytes?: number
  /**
   * The same for a peer that is not welcome yet: ws keeps a frame until it is whole, and it has no more to
   * say than CONNECT. @default 64 KiB
   */
  readonly maxFirstFrameBytes?: number
  /** Whose pages may connect. @default everybody's */
  readonly mayOpen?: OriginRule
  /** @default everybody is let in */
  readonly turnstile?: Turnstile
  /** Who may say for whom it speaks. @default nobody */
  readonly proxies?: TrustedProxies
  /** How long a peer may take to answer a close frame before the socket is cut. @default 2000 */
  readonly closeTimeoutMs?: number
}

/** MQTT over WebSocket on somebody's HTTP server. */
export interface WebSocketListener {
  /** Leaves the HTTP server and cuts what is still connected: who wants to say goodbye does it before. */
  close(): Promise<void>
}

/** The subprotocols of MQTT 3.1.1 and 5, and of MQTT 3.1, in the order of preference. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1']

/** Takes WebSocket upgrades on one path of an HTTP server. */
export function attachWebSocketListener(
  server: Server | SecureServer,
  options: WebSocketListenerOptions,
): WebSocketListener {
  const {
    onConnection,
    path = '/mqtt',
    maxFrameBytes = (1024 + 128) * 1024,
    maxFirstFrameBytes = 64 * 1024,
    closeTimeoutMs = 2000,
  } = options
  const serverOptions: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    maxPayload: maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols: (offered) => SUBPROTOCOLS.find((name) => offered.has(name)) ?? false,
    closeTimeout: closeTimeoutMs,
  }
  const sockets = new WebSocketServer(serverOptions)
  let closing: Promise<void> | undefined

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.url?.split('?', 1)[0] !== path) {
      // With other upgrade listeners on the server it is theirs, and theirs to refuse.
      if (server.listenerCount('upgrade') === 1) refuse(socket, 404)
      return
    }
    if (options.mayOpen?.(request) === false) return refuse(socket, 403)
    const remoteAddress = options.proxies?.clientOf(request) ?? request.socket.remoteAddress
    if (options.turnstile?.enter(remoteAddress) === false) return refuse(socket, 429)
    socket.once('close', () => options.turnstile?.leave(remoteAddress))
    const certificate =
      request.socket instanceof TLSSocket ? nameInCertificate(request.socket) : undefined
    const named = certificate === undefined ? {} : { certificate }
    sockets.handleUpgrade(request, socket, head, (accepted) => {
      const duplex = createWebSocketDuplex(accepted, { remoteAddress })
      duplex.limitFrames(Math.min(maxFirstFrameBytes, maxFrameBytes))
      const welcome = (): void => duplex.limitFrames(maxFrameBytes)
      onConnection(duplex, { transport: 'websocket', remoteAddress, request, welcome, ...named })
    })
  }

  server.on('upgrade', upgrade)
  return {
    close: () =>
      (closing ??= new Promise((resolve) => {
        server.off('upgrade', upgrade)
        sockets.close(() => resolve())
        for (const socket of sockets.clients) socket.terminate()
      })),
  }
}

function refuse(socket: Duplex, status: number): void {
  // The peer may be gone already, and nobody else listens for that here.
  socket.on('error', () => socket.destroy())
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Length: 0',
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n`, () => socket.destroy())
}
