import { createHash } from 'node:crypto'
import { formatConnectionDocument, type ConnectionDocument } from '../protocol/index.ts'
import type { HeardClient, HeardLog } from './store/store.ts'

/**
 * Knows documents again that another bridge has applied already. A document carries no id that two
 * readers of one broker could compare, but of each client both get the same documents in the same
 * order. So the store counts what was applied of a client, and each bridge what has come to it: as long
 * as it has received fewer, it receives what was applied before.
 */
export interface Heard {
  /**
   * Judges a document that has just come.
   *
   * @returns the log with it, or undefined when another bridge has applied it
   */
  judge(user: string, print: Print, log: HeardLog | undefined): HeardLog | undefined
  /** The log with the judged document was stored. */
  applied(user: string, print: Print, log: HeardLog): void
  /** Everything begins anew: from now on this bridge hears. */
  restart(): void
}

/** What tells clients, and documents, apart. */
export interface Print {
  readonly client: string
  readonly document: string
}

/** How far one bridge may be behind another, in milliseconds. */
export const BEHIND_MS = 60_000

/** Clients that are followed; of others only what is in the log is known. */
const MAX_FOLLOWED = 200_000

/** How many documents of a client have come, and in which count. */
interface Followed {
  readonly born: number
  came: number
}

/** The prints of a document. */
export function printOf(client: string, document: ConnectionDocument): Print {
  return { client: digest(client), document: digest(formatConnectionDocument(document)) }
}

function digest(text: string): string {
  return createHash('sha1').update(text).digest('base64url').slice(0, 8)
}

/** Creates the memory; times are in milliseconds since the epoch. */
export function createHeard(now: () => number): Heard {
  const followed = new Map<string, Followed>()
  let since = now()

  function follow(key: string, counted: HeardClient, print: Print): Followed {
    const known = followed.get(key)
    if (known?.born === counted.born) return known
    return remember(key, { born: counted.born, came: begin(counted, print) })
  }

  /** How many had been applied when this bridge began to hear the client. */
  function begin({ born, at, count, last }: HeardClient, print: Print): number {
    if (born >= since) return 0
    return at >= since && last === print.document ? count - 1 : count
  }

  function remember(key: string, entry: Followed): Followed {
    followed.delete(key)
    followed.set(key, entry)
    if (followed.size > MAX_FOLLOWED) {
      const [oldest] = followed.keys()
      if (oldest !== undefined) followed.delete(oldest)
    }
    return entry
  }

  return {
    judge(user, print, log = []) {
      const time = now()
      const counted = log.find(({ client }) => client === print.client)
      if (counted && time - counted.at <= BEHIND_MS) {
        const mine = follow(keyOf(user, print), counted, print)
        // Of the last one the content is known: another one has come, so something else was lost.
        const isOther = mine.came === counted.count - 1 && counted.last !== print.document
        if (mine.came < counted.count && !isOther) {
          mine.came++
          return undefined
        }
      }
      const next = {
        client: print.client,
        last: print.document,
        born: counted?.born ?? time,
        count: (counted?.count ?? 0) + 1,
        at: time,
      }
      const others = log.filter(
        ({ client, at }) => client !== print.client && time - at <= 2 * BEHIND_MS,
      )
      return [...others, next]
    },
    applied(user, print, log) {
      const counted = log.find(({ client }) => client === print.client)
      if (counted) remember(keyOf(user, print), { born: counted.born, came: counted.count })
    },
    restart() {
      since = now()
      followed.clear()
    },
  }
}

function keyOf(user: string, { client }: Print): string {
  return `${client}${user}`
}
