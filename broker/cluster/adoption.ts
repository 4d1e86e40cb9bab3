import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Script } from '../../runtime/redis/script.ts'
import type { SessionContent } from '../persistence/session-persistence.ts'
import { clientsOf, type ClaimedClient } from './clients-of.ts'
import { isForAbsent, type Entry } from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { Handover } from './shared-sessions.ts'

/** A session that was taken over from a broker that has died. */
export interface AdoptedSession {
  readonly clientId: string
  readonly user: string
  readonly keptMs: number
  /** The last connection that had the client id, and the number of its claim. */
  readonly connection: string
  readonly number: number
  /** How often it was taken over since that claim. */
  readonly heirs: number
}

/** What is to be done with the sessions of a broker that has died. */
export interface Adoption {
  /** For how long the session of a client is kept that was there until then, in milliseconds. */
  readonly keptMs: number
  /** Whether nobody has come here with the client id meanwhile. */
  readonly isFree: (clientId: string) => boolean
  /** The session is here now. */
  readonly onAdopted: (session: AdoptedSession) => void
}

/** Takes over the sessions of brokers that have died, some at a time. */
export interface Adopter {
  /** What fails can be tried again, here or by another broker. */
  adopt(dead: string, position: number, adoption: Adoption): Promise<void>
  /** Resolves when a client is not on its way here, or not any more. */
  settled(clientId: string): Promise<void>
  /** Up to where the sessions are written that are on their way here; for another broker, should this one die. */
  positions(): Iterable<number>
}

/** Options of {@link createAdopter}. */
export interface AdopterOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  /** `adopt-client.lua`. */
  readonly adoptClient: Script
  /** The number of the last entry that was read. */
  readonly position: () => number
  /** Takes a session from Redis. */
  readonly take: (clientId: string) => Promise<SessionContent | undefined>
  readonly catchUp: (handover: Handover, then: (entries: readonly Entry[]) => void) => Promise<void>
  /** Puts a session that was taken into the store. */
  readonly restore: (clientId: string, content: SessionContent) => void
  readonly replay: (clientIds: ReadonlySet<string>, entries: readonly Entry[]) => void
  /** Puts the session that is here, or none, in the place of the one in Redis. */
  readonly replace: (clientId: string) => Promise<void>
  readonly flush: () => Promise<void>
}

/** Clients that are taken over at once. */
const SLICE = 200

/** What the log has for sessions, and how far that was read. */
interface Later {
  position: number
  readonly entries: Entry[]
}

/** Creates what takes sessions over. */
export function createAdopter(options: AdopterOptions): Adopter {
  const { broker, redis, keys, position, flush } = options
  const underway = new Map<string, number>()
  const arriving = new Map<string, Promise<unknown>>()
  /** By the broker that has died: whose sessions are here. */
  const adopted = new Map<string, Set<string>>()

  /** Whether a broker had a client id, or it is half here since an earlier try. */
  function isLeft(client: ClaimedClient, dead: string): boolean {
    return client.broker === dead || (client.broker === broker && client.adopted === dead)
  }

  async function claim(
    clientId: string,
    dead: string,
    keptMs: number,
  ): Promise<{ session: AdoptedSession; content: SessionContent } | undefined> {
    const answer = (await options.adoptClient(
      [keys.clients, keys.sessions],
      [clientId, dead, broker, String(keptMs)],
    )) as readonly [string, number, string, string, number] | null
    const content = answer && (await options.take(clientId))
    if (!answer || !content) return undefined
    const [user, left, connection, number, heirs] = answer
    return {
      session: { clientId, user, keptMs: left, connection, number: Number(number), heirs },
      content,
    }
  }

  async function adoptSome(
    clientIds: readonly string[],
    dead: string,
    later: Later,
    { keptMs, isFree, onAdopted }: Adoption,
  ): Promise<void> {
    const claimed = await Promise.all(clientIds.map((clientId) => claim(clientId, dead, keptMs)))
    const here = adopted.get(dead) ?? new Set()
    adopted.set(dead, here)
    const anew: string[] = []
    const handover = { broker: dead, position: later.position, ownPosition: 0 }
    await options.catchUp(handover, (entries) => {
      later.position = Math.max(later.position, position())
      later.entries.push(...entries.filter(isForAbsent))
      const ids = new Set<string>()
      for (const one of claimed) {
        // It may be here since an earlier try.
        if (!one || here.has(one.session.clientId)) continue
        const { session, content } = one
        const { clientId } = session
        here.add(clientId)
        if (isFree(clientId)) {
          ids.add(clientId)
          options.restore(clientId, content)
          onAdopted(session)
        } else {
          anew.push(clientId)
        }
      }
      options.replay(ids, later.entries)
    })
    // Who has come here meanwhile was told that there is no session.
    await Promise.all(anew.map(options.replace))
  }

  return {
    async adopt(dead, upTo, adoption) {
      const later: Later = { position: upTo, entries: [] }
      underway.set(dead, upTo)
      try {
        await flush()
        for await (const left of clientsOf(redis, keys, (client) => isLeft(client, dead))) {
          for (let i = 0; i < left.length; i += SLICE) {
            const clientIds = left.slice(i, i + SLICE).map(({ clientId }) => clientId)
            const arrival = adoptSome(clientIds, dead, later, adoption)
            for (const clientId of clientIds) arriving.set(clientId, arrival)
            try {
              await arrival
            } finally {
              for (const clientId of clientIds) arriving.delete(clientId)
            }
          }
        }
        await flush()
        adopted.delete(dead)
      } finally {
        underway.delete(dead)
      }
    },
    async settled(clientId) {
      await Promise.allSettled([arriving.get(clientId)])
    },
    positions: () => underway.values(),
  }
}
