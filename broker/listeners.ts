import type { Duplex } from 'node:stream'
import { createSockets } from './limits/sockets.ts'
import type { ResolvedOptions } from './options.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'
import { createOriginRule, isLoopbackName } from './transport/origins.ts'
import { createTcpListener, type TlsOptions, type Turnstile } from './transport/tcp-listener.ts'
import { createTrustedProxies } from './transport/trusted-proxies.ts'
import { attachWebSocketListener } from './transport/websocket-listener.ts'

/** All the ways in: TCP, TLS and WebSocket, within the limits on sockets. */
export interface Listeners {
  /** Resolves to the bound ports, null where there is none; rejects with the system's own error. */
  listen(): Promise<{ readonly mqttPort: number | null; readonly mqttsPort: number | null }>
  /** Other certificates for those who connect from now on. */
  setSecureContext(tls: TlsOptions): void
  /** Sockets that were refused, by why. */
  readonly refused: ReturnType<typeof createSockets>['refused']
  close(): Promise<void>
}

/** Node sends ten keepalive probes, a second apart, before it gives a TCP peer up; timers add a little. */
const PROBES_MS = 11_000

/** What a WebSocket frame may hold beside a packet, in bytes. */
const FRAME_ROOM = 128 * 1024

/** Creates the ways in; nobody comes in by TCP before `listen`. */
export function createListeners(
  options: ResolvedOptions,
  onConnection: (stream: Duplex, info: ConnectionInfo) => void,
  warn: (fields: object, message: string) => void,
): Listeners {
  const { limits, clock, tls, httpServer, host } = options
  const sockets = createSockets(limits, clock)
  const turnstile: Turnstile = {
    enter(address) {
      const refusal = sockets.enter(address)
      if (refusal) warn({ address, refused: refusal }, 'connection refused')
      return refusal === undefined
    },
    leave: (address) => sockets.leave(address),
  }
  const ways = {
    onConnection,
    turnstile,
    proxies: createTrustedProxies(options.trustedProxies),
    keepAliveDelayMs: Math.max(1000, options.livenessTimeoutMs - PROBES_MS),
  }
  const tcp = createTcpListener(ways)
  const secure = tls && createTcpListener({ ...ways, tls })
  const webSockets =
    httpServer &&
    attachWebSocketListener(httpServer, {
      ...ways,
      mayOpen: createOriginRule(
        options.origins,
        options.authenticator !== undefined && !options.allowGuests,
        isLoopbackName(host),
      ),
      maxFrameBytes: options.maxPacketSize + FRAME_ROOM,
      maxFirstFrameBytes: options.maxConnectSize,
    })

  return {
    async listen() {
      const mqttsPort = secure && tls ? await secure.listen(tls.port, host) : null
      // Beside TLS the plain port is for this machine.
      const plainHost = secure ? '127.0.0.1' : host
      const { mqttPort } = options
      return {
        mqttsPort,
        mqttPort: mqttPort === false ? null : await tcp.listen(mqttPort, plainHost),
      }
    },
    setSecureContext: (context) => secure?.setSecureContext(context),
    refused: sockets.refused,
    async close() {
      await Promise.all([tcp.close(), secure?.close(), webSockets?.close()])
    },
  }
}
