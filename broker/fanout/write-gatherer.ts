import type { Duplex } from 'node:stream'

/** Gathers what is written to a connection in one turn of the event loop into one system call or frame. */
export interface WriteGatherer {
  write(connection: Duplex, bytes: Buffer): void
}

/**
 * Creates a gatherer. It holds a connection corked until the turn's check phase: by then every socket
 * that was readable has been read, so a reader of many publishers is written to once.
 */
export function createWriteGatherer(): WriteGatherer {
  const corked = new Set<Duplex>()
  let isScheduled = false

  function flushAll(): void {
    isScheduled = false
    for (const connection of corked) connection.uncork()
    corked.clear()
  }

  return {
    write(connection, bytes) {
      if (!corked.has(connection)) {
        connection.cork()
        corked.add(connection)
        if (!isScheduled) {
          isScheduled = true
          setImmediate(flushAll)
        }
      }
      connection.write(bytes)
    },
  }
}
