import type { ConnectionDocument } from '../../protocol/index.ts'

/** What has been said lately, for a store that loses what it stored last. */
export interface Recent {
  note(user: string, client: string, document: ConnectionDocument, apply: Apply): void
  /** The last words of every client, in the order in which they came. */
  list(): readonly LastWord[]
}

type Apply = (document: ConnectionDocument) => Promise<unknown>

/** The last that a client has said, with what it said before of the same connection. */
export interface LastWord {
  readonly at: number
  readonly user: string
  readonly client: string
  readonly document: ConnectionDocument
  readonly apply: Apply
}

/** Clients whose words are kept. */
const MAX_CLIENTS = 10_000

/** How far back a store may lose what it stored, in milliseconds. */
const RECENT_MS = 60_000

/** Creates the memory; times are in milliseconds since the epoch. */
export function createRecent(now: () => number): Recent {
  const words = new Map<string, LastWord>()

  return {
    note(user, client, document, apply) {
      const key = JSON.stringify([user, client])
      const before = words.get(key)?.document
      words.delete(key)
      const merged = before ? merge(before, document) : document
      words.set(key, { at: now(), user, client, document: merged, apply })
      if (words.size <= MAX_CLIENTS) return
      const [oldest] = words.keys()
      if (oldest !== undefined) words.delete(oldest)
    },
    list() {
      for (const [key, { at }] of words) {
        if (now() - at <= RECENT_MS) break
        words.delete(key)
      }
      return [...words.values()]
    },
  }
}

/** Rooms and data that a document does not name are those that its connection named before. */
function merge(before: ConnectionDocument, document: ConnectionDocument): ConnectionDocument {
  const isSame = before.connection === document.connection && before.broker === document.broker
  const goesOn = before.status !== 'offline' && document.status !== 'offline'
  return isSame && goesOn ? { ...before, ...document } : document
}
