import type { PublishPacket } from 'aedes'
import type { Clock } from '../../runtime/clock.ts'
import type { Connection } from '../connection.ts'

/**
 * Keeps the end of a connection behind its last documents. Aedes acknowledges a document before it
 * publishes it, and a client may go as soon as it has the acknowledgement: its will, or its goodbye,
 * would be read first, and the document be dropped as one of a connection that is over.
 */
export interface DocumentOrder {
  /** A document was let through, and is on its way to the readers. */
  begin(connection: Connection, packet: PublishPacket): void
  /** A message was published. */
  published(packet: object): void
  /** Runs when none of the connection's documents is on its way any more. */
  afterDocuments(connection: Connection, run: () => void): void
}

/** How long a document may be on its way: one whose acknowledgement cannot be written never arrives. In milliseconds. */
const ARRIVES_WITHIN_MS = 1000

interface Underway {
  readonly packets: Set<object>
  readonly waiting: (() => void)[]
}

/** Creates the order; empty. */
export function createDocumentOrder(clock: Clock): DocumentOrder {
  const underway = new WeakMap<Connection, Underway>()
  const senders = new WeakMap<object, Connection>()

  function finish(connection: Connection): void {
    const waiting = underway.get(connection)?.waiting
    underway.delete(connection)
    for (const run of waiting ?? []) run()
  }

  return {
    begin(connection, packet) {
      senders.set(packet, connection)
      const before = underway.get(connection)
      if (before) before.packets.add(packet)
      else underway.set(connection, { packets: new Set([packet]), waiting: [] })
    },
    published(packet) {
      const connection = senders.get(packet)
      if (!connection) return
      const packets = underway.get(connection)?.packets
      if (packets?.delete(packet) && packets.size === 0) finish(connection)
    },
    afterDocuments(connection, run) {
      const before = underway.get(connection)
      if (!before) return run()
      before.waiting.push(run)
      clock.after(ARRIVES_WITHIN_MS, () => finish(connection))
    },
  }
}
