import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** What a listener knows of a connection before its first byte is read. */
export interface ConnectionInfo {
  readonly transport: 'tcp' | 'websocket'
  /** The peer's address as the socket has it; undefined when the peer has already gone. */
  readonly remoteAddress: string | undefined
  /** The common name of the peer's certificate, when it has one that was verified. */
  readonly certificate?: string
  /** The upgrade request of a WebSocket. */
  readonly request?: IncomingMessage
  /** To be called when the peer's CONNECT is accepted, before it is told. */
  readonly welcome?: () => void
}

/** Takes over a new connection. */
export type OnConnection<Connection extends Duplex> = (
  connection: Connection,
  info: ConnectionInfo,
) => void
