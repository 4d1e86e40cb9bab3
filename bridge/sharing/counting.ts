import type { HeardCount } from '../store/store.ts'

/**
 * Knows documents without a stamp again. They carry nothing that two readers of one broker could compare,
 * but of each client both get the same documents in the same order. So the store counts what was applied
 * of a client, and each bridge what has come to it: as long as it has received fewer, it receives what was
 * applied before.
 */
export interface Counting {
  /** @returns the count with the document, or undefined when another bridge has applied it */
  judge(
    user: string,
    print: { readonly client: string; readonly document: string },
    counted: HeardCount | undefined,
  ): HeardCount | undefined
  /** The count with the judged document was stored. */
  applied(user: string, counted: HeardCount): void
  /** Everything begins anew: from now on this bridge hears. */
  restart(): void
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

/** Creates the memory; times are in milliseconds since the epoch. */
export function countDocuments(now: () => number): Counting {
  const followed = new Map<string, Followed>()
  let since = now()

  function follow(key: string, counted: HeardCount, document: string): Followed {
    const known = followed.get(key)
    if (known?.born === counted.born) return known
    return remember(key, { born: counted.born, came: begin(counted, document) })
  }

  /** How many had been applied when this bridge began to hear the client. */
  function begin({ born, at, count, last }: HeardCount, document: string): number {
    if (born >= since) return 0
    return at >= since && last === document ? count - 1 : count
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
    judge(user, { client, document }, counted) {
      const time = now()
      if (counted && time - counted.at <= BEHIND_MS) {
        const mine = follow(keyOf(user, client), counted, document)
        // Of the last one the content is known: another one has come, so something else was lost.
        const isOther = mine.came === counted.count - 1 && counted.last !== document
        if (mine.came < counted.count && !isOther) {
          mine.came++
          return undefined
        }
      }
      return {
        client,
        last: document,
        born: counted?.born ?? time,
        count: (counted?.count ?? 0) + 1,
        at: time,
      }
    },
    applied(user, { client, born, count }) {
      remember(keyOf(user, client), { born, came: count })
    },
    restart() {
      since = now()
      followed.clear()
    },
  }
}

function keyOf(user: string, client: string): string {
  return `${client}${user}`
}
