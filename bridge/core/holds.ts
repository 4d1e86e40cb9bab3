import type { Cause } from '../../protocol/index.ts'
import type { ConnectionState, GraceConnection } from './state.ts'

/** A connection in grace, and until when it holds something. */
export interface Hold {
  readonly connection: GraceConnection
  readonly until: number
}

/** What holds the user. */
export function holdsOfUser(connections: readonly ConnectionState[]): readonly Hold[] {
  return connections
    .filter((connection) => connection.status === 'grace')
    .map((connection) => ({ connection, until: heldUntil(connection) }))
}

/** What holds the user in each room. */
export function holdsByRoom(
  connections: readonly ConnectionState[],
): ReadonlyMap<string, readonly Hold[]> {
  const holds = new Map<string, Hold[]>()
  for (const connection of connections) {
    if (connection.status === 'up') continue
    for (const { room, deadline } of connection.rooms) {
      const hold = { connection, until: deadline ?? connection.deadline }
      const others = holds.get(room)
      if (others) others.push(hold)
      else holds.set(room, [hold])
    }
  }
  return holds
}

/** Of connections that end together the one that was held longest says why; none: a document said so. */
export function causeOfEnd(holds: readonly Hold[]): Cause {
  let cause: Cause = 'left'
  let latest = Number.NEGATIVE_INFINITY
  for (const { connection, until } of holds) {
    if (until < latest) continue
    latest = until
    cause = connection.cause
  }
  return cause
}

/** When the latest of the connections was last heard. */
export function lastHeard(holds: readonly Hold[], otherwise: number): number {
  let latest = Number.NEGATIVE_INFINITY
  for (const { connection } of holds) latest = Math.max(latest, connection.lastSeen)
  return holds.length === 0 ? otherwise : latest
}

/** When a connection holds nothing any more: neither the user nor any room. */
function heldUntil({ deadline, rooms }: GraceConnection): number {
  return rooms.reduce((latest, entry) => Math.max(latest, entry.deadline ?? latest), deadline)
}
