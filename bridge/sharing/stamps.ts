import type { HeardStamps } from '../store/store.ts'

/** Connections of a client at one broker whose documents may still be on their way. */
const MAX_CONNECTIONS = 4

/** A stamped document; ids are digests. */
export interface Stamped {
  readonly client: string
  readonly broker: string
  readonly connection: string
  readonly stamp: number
}

/**
 * Judges a document by its stamp. Stamps only grow, so what was applied is known again without having heard
 * the same as whoever applied it.
 *
 * Within a broker documents overtake one another: what a client says, what the broker says of it, and its
 * end go different ways. Of one connection a later document always has what an earlier one said, so the
 * earlier one is dropped; of two connections neither stands for the other.
 *
 * @param known what was applied of this client at this broker; undefined: nothing
 * @param now milliseconds since the epoch
 * @returns the entry with the document, or undefined when it, or a later one, was applied before
 */
export function addStamp(
  known: HeardStamps | undefined,
  { client, broker, connection, stamp }: Stamped,
  now: number,
): HeardStamps | undefined {
  const { floor = stamp - 1, newest = [] } = known ?? {}
  const mine = newest.find(([id]) => id === connection)
  if (stamp <= Math.max(floor, mine?.[1] ?? 0)) return undefined
  const others = newest.filter((one) => one !== mine)
  const all = [...others, [connection, stamp] as const].toSorted(([, a], [, b]) => a - b)
  const kept = all.slice(-MAX_CONNECTIONS)
  const dropped = all.at(-MAX_CONNECTIONS - 1)?.[1] ?? 0
  return { client, broker, floor: Math.max(floor, dropped), newest: kept, at: now }
}
