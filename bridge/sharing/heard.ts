import { createHash } from 'node:crypto'
import { formatConnectionDocument, type ConnectionDocument } from '../../protocol/index.ts'
import type { ConnectionState } from '../core/index.ts'
import { BEHIND_MS, countDocuments, type Counting } from './counting.ts'
import { addStamp, type Stamped } from './stamps.ts'
import type { HeardEntry, HeardLog, StoredUser } from '../store/store.ts'

/**
 * Knows documents again that another bridge has applied already: by the stamps of our brokers, which the
 * store remembers, or, where a document has none, by counting.
 */
export interface Heard {
  /**
   * Judges a document that has just come.
   *
   * @returns the log with it, or undefined when another bridge has applied it
   */
  judge(user: string, print: Print, stored: StoredUser | undefined): HeardLog | undefined
  /** The log with the judged document was stored. */
  applied(user: string, print: Print, log: HeardLog): void
  /** Everything begins anew: from now on this bridge hears. */
  restart(): void
}

/** What tells clients, and documents, apart. */
export type Print =
  /** A document of a broker of ours. */
  | Stamped
  /** Any other. */
  | { readonly client: string; readonly document: string }

/** The prints of a document. */
export function printOf(client: string, document: ConnectionDocument): Print {
  const { broker, connection, stamp } = document
  return broker !== undefined && connection !== undefined && stamp !== undefined
    ? { client: digest(client), broker: digest(broker), connection: digest(connection), stamp }
    : { client: digest(client), document: digest(formatConnectionDocument(document)) }
}

function digest(text: string): string {
  return createHash('sha1').update(text).digest('base64url').slice(0, 8)
}

/** Creates the memory; times are in milliseconds since the epoch. */
export function createHeard(now: () => number): Heard {
  const counting: Counting = countDocuments(now)

  return {
    judge(user, print, stored) {
      const { heard: log = [], state } = stored ?? {}
      const known = log.find((entry) => isOf(entry, print))
      const next =
        'stamp' in print
          ? addStamp(known && 'newest' in known ? known : undefined, print, now())
          : counting.judge(user, print, known && 'count' in known ? known : undefined)
      if (!next) return undefined
      const isKept = (entry: HeardEntry): boolean =>
        now() - entry.at <= 2 * BEHIND_MS || isConnected(entry, state?.connections ?? [])
      return [...log.filter((entry) => entry !== known && isKept(entry)), next]
    },
    applied(user, print, log) {
      const known = log.find((entry) => isOf(entry, print))
      if (known && 'count' in known) counting.applied(user, known)
    },
    restart: () => counting.restart(),
  }
}

/**
 * What the client said before, over earlier connections too, may be waiting: it counts as applied.
 *
 * @param isWhole whether what it says now counts as well
 */
export function closeBefore(entry: HeardEntry, print: Print, isWhole = true): HeardEntry {
  if (!('stamp' in print && 'newest' in entry)) return entry
  if (entry.client !== print.client || entry.broker !== print.broker) return entry
  const before = print.stamp - 1
  const newest = isWhole
    ? entry.newest
    : entry.newest.map(([id, stamp]) => [id, id === print.connection ? before : stamp] as const)
  return { ...entry, newest, floor: Math.max(entry.floor, before) }
}

function isOf(entry: HeardEntry, print: Print): boolean {
  if (entry.client !== print.client) return false
  if ('stamp' in print) return 'newest' in entry && entry.broker === print.broker
  return 'count' in entry
}

/**
 * Whether it is about a connection that is still there. What its client said before has to be known
 * however late a bridge comes with it; what is over does not come back by itself.
 */
function isConnected(entry: HeardEntry, connections: readonly ConnectionState[]): boolean {
  if (!('newest' in entry)) return false
  return connections.some(
    ({ client, broker }) =>
      broker !== null && digest(client) === entry.client && digest(broker) === entry.broker,
  )
}
