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
  /** Finds the connection by its unload key from now on, no longer by an earlier one. */
  noteUnloadKey(connection: Connection): void
  byUnloadKey(key: string): Connection | undefined
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
  const byUnloadKey = new Map<string, Connection>()
  const unloadKeys = new Map<Connection, string>()

  function forgetUnloadKey(connection: Connection): void {
    const key = unloadKeys.get(connection)
    if (key === undefined) return
    unloadKeys.delete(connection)
    byUnloadKey.delete(key)
  }

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
    noteUnloadKey(connection) {
      const { unloadKey } = connection
      // Nobody takes over a key that another connection has.
      if (unloadKey === undefined || byUnloadKey.has(unloadKey) || !live.has(connection)) return
      forgetUnloadKey(connection)
      unloadKeys.set(connection, unloadKey)
      byUnloadKey.set(unloadKey, connection)
    },
    byUnloadKey: (key) => byUnloadKey.get(key),
    remove(connection) {
      live.delete(connection)
      forgetUnloadKey(connection)
    },
    all: () => live.values(),
    clients: () => [...sockets.keys()],
    get size() {
      return sockets.size
    },
  }
}
