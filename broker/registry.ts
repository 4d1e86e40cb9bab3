import type { AedesClient } from './aedes-internals.ts'
import type { Connection } from './connection.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'

/** The broker's sockets, and the connections among them that have sent their CONNECT. */
export interface Registry {
  /** A socket was taken; it is forgotten when it closes. */
  arrive(client: AedesClient, info: ConnectionInfo): void
  infoOf(client: AedesClient): ConnectionInfo | undefined
  /** A socket's CONNECT was read. */
  add(connection: Connection): void
  /** The connection of a client, also after it has ended. */
  get(client: AedesClient): Connection | undefined
  /** The connection is over and everybody has been told. */
  remove(connection: Connection): void
  /** Connections, in the order of their CONNECT. */
  all(): Iterable<Connection>
  /** Every socket's client. */
  clients(): readonly AedesClient[]
  /** The number of sockets. */
  readonly size: number
}

/** Creates an empty registry. */
export function createRegistry(): Registry {
  const sockets = new Map<AedesClient, ConnectionInfo>()
  const live = new Set<Connection>()
  const known = new WeakMap<AedesClient, Connection>()
  return {
    arrive(client, info) {
      sockets.set(client, info)
      client.conn.once('close', () => sockets.delete(client))
    },
    infoOf: (client) => sockets.get(client),
    add(connection) {
      live.add(connection)
      known.set(connection.client, connection)
    },
    get: (client) => known.get(client),
    remove: (connection) => live.delete(connection),
    all: () => live.values(),
    clients: () => [...sockets.keys()],
    get size() {
      return sockets.size
    },
  }
}
