import { createServer, type Socket } from 'node:net'
import type { OnConnection } from './connection-info.ts'

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
}

/** A plain MQTT port. */
export interface TcpListener {
  /** Resolves with the bound port; rejects with the system's own error (`EADDRINUSE`, `EACCES`, …). */
  listen(port: number, host?: string): Promise<number>
  /** Stops listening and cuts what is still connected: who wants to say goodbye does it before. */
  close(): Promise<void>
}

/** Creates a TCP listener; nothing is bound before `listen`. */
export function createTcpListener(options: TcpListenerOptions): TcpListener {
  const { onConnection, keepAliveDelayMs = 10_000 } = options
  const sockets = new Set<Socket>()
  let closing: Promise<void> | undefined

  // Without noDelay each small exchange waits 40 ms for Nagle's algorithm and the delayed ACK.
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs },
    (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      onConnection(socket, { transport: 'tcp', remoteAddress: socket.remoteAddress })
    },
  )

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
    close: () =>
      (closing ??= new Promise((resolve) => {
        // The callback's only error is that nothing was listening, which is what was asked for.
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })),
  }
}
