import { createServer, type Socket } from 'node:net'
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import type { OnConnection } from './connection-info.ts'
import { takeProxyHeader } from './proxy-protocol.ts'
import type { TrustedProxies } from './trusted-proxies.ts'

/** How a port speaks TLS. */
export interface TlsOptions extends SecureContextOptions {
  /** Whether clients are asked for a certificate; who has none is let in without. @default false */
  readonly requestCert?: boolean
}

/** Counts connections in and out, and refuses those that are too many. */
export interface Turnstile {
  /** False when it is to be closed at once. */
  enter(address: string | undefined): boolean
  leave(address: string | undefined): void
}

/** Options of {@link createTcpListener}. */
export interface TcpListenerOptions {
  readonly onConnection: OnConnection<Socket>
  /**
   * How long a connection is silent before the kernel asks whether the peer is still there, in
   * milliseconds. Node then sends 10 probes a second apart (its own values, the system's 9 times 75 s do
   * not apply), so a vanished idle peer is noticed 10 s after this; one that has unacknowledged data
   * outstanding is not probed.
   * @default 10000
   */
  readonly keepAliveDelayMs?: number
  /** @default everybody is let in */
  readonly turnstile?: Turnstile
  /** Who may begin with a PROXY header. @default nobody */
  readonly proxies?: TrustedProxies
  /** @default plain MQTT */
  readonly tls?: TlsOptions
}

/** An MQTT port. */
export interface TcpListener {
  /** Resolves with the bound port; rejects with the system's own error (`EADDRINUSE`, `EACCES`, …). */
  listen(port: number, host?: string): Promise<number>
  /** Other certificates for whoever connects from now on; those who are connected do not notice. */
  setSecureContext(context: SecureContextOptions): void
  /** Stops listening and cuts what is still connected: who wants to say goodbye does it before. */
  close(): Promise<void>
}

/** How long a TLS handshake may take, in milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** Creates a TCP listener; nothing is bound before `listen`. */
export function createTcpListener(options: TcpListenerOptions): TcpListener {
  const { onConnection, keepAliveDelayMs = 10_000, turnstile, proxies } = options
  const sockets = new Set<Socket>()
  /** For whom a socket under TLS speaks, by its own address and port. */
  const addresses = new Map<string, string | undefined>()
  const secure = options.tls && createSecure(options.tls)
  let closing: Promise<void> | undefined

  // Without noDelay each small exchange waits 40 ms for Nagle's algorithm and the delayed ACK.
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs },
    (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      const { remoteAddress } = socket
      if (!proxies?.isTrusted(remoteAddress)) return enter(socket, remoteAddress)
      takeProxyHeader(socket, (address) => enter(socket, address ?? remoteAddress))
    },
  )

  function enter(socket: Socket, remoteAddress: string | undefined): void {
    if (turnstile?.enter(remoteAddress) === false) {
      socket.destroy()
      return
    }
    socket.once('close', () => turnstile?.leave(remoteAddress))
    if (!secure) return onConnection(socket, { transport: 'tcp', remoteAddress })
    const key = endpointOf(socket)
    addresses.set(key, remoteAddress)
    socket.once('close', () => addresses.delete(key))
    secure.emit('connection', socket)
  }

  function createSecure(tls: TlsOptions): ReturnType<typeof createTlsServer> {
    const tlsServer = createTlsServer({
      ...tls,
      // Who has no certificate, or one of another authority, may still have a token.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      minVersion: 'TLSv1.2',
    })
    tlsServer.on('secureConnection', (socket) => {
      const remoteAddress = addresses.get(endpointOf(socket))
      const certificate = nameInCertificate(socket)
      const named = certificate === undefined ? {} : { certificate }
      onConnection(socket, { transport: 'tcp', remoteAddress, ...named })
    })
    // Scanners and clients that do not speak TLS; Node closes the socket.
    tlsServer.on('tlsClientError', () => {})
    return tlsServer
  }

  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          const address = server.address()
          resolve(typeof address === 'object' && address ? address.port : port)
        })
      }),
    setSecureContext: (context) => secure?.setSecureContext(context),
    close: () =>
      (closing ??= new Promise((resolve) => {
        // The callback's only error is that nothing was listening, which is what was asked for.
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })),
  }
}

function endpointOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

/** The common name of a certificate that an authority of ours has signed. */
export function nameInCertificate(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined
  const { subject } = socket.getPeerCertificate() as { subject?: { CN?: unknown } }
  return typeof subject?.CN === 'string' ? subject.CN : undefined
}
