import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Script } from '../../runtime/redis/script.ts'
import type { ClusterKeys } from './keys.ts'

/** To whom a client id belongs, in all brokers together. */
export interface ClientClaims {
  /**
   * Somebody connects with a client id.
   *
   * @returns undefined when the id is somebody else's
   * @throws when Redis does not answer
   */
  claim(clientId: string, connection: string, user: string): Promise<Claim | undefined>
  /** A connection that had claimed its client id is over; its session is kept for so long, or not (0). */
  release(clientId: string, connection: string, keptMs: number): Promise<void>
  /** Whether another broker's claim is later than the one of the connection that is here. */
  isOlder(clientId: string, claim: number): boolean
  /** A session was taken over from a broker that has died. */
  adopted(clientId: string, user: string, keptMs: number): void
  /** Another broker has the client id now. */
  forget(clientId: string): void
  /** Claims everything again that nobody else has claimed: Redis may have lost some. */
  rewrite(): Promise<void>
}

/** A client id that was claimed. */
interface Claim {
  /** Grows with each claim. */
  readonly number: number
  /** The broker that had it before, if one had. */
  readonly previous: string | undefined
  /** Whether that one was heard lately, and will answer. */
  readonly isPreviousAlive: boolean
  /** Whether there is a session that outlives its connection. */
  readonly hasSession: boolean
}

/** A broker that was not heard for this long is not waited for, in milliseconds. */
const SILENT_MS = 2500

/** Options of {@link createClientClaims}. */
export interface ClientClaimsOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Until when somebody waits for a claim that is made now, in milliseconds of Redis' clock. */
  readonly claimUntil: () => number
  /** `claim-client.lua`. */
  readonly claim: Script
  /** `release-client.lua`. */
  readonly release: Script
}

interface Entry {
  readonly connection: string
  readonly number: number
  readonly user: string
  /** Until when the session of an absent client is kept. */
  readonly until: number | undefined
}

/** Creates the claims of one broker. */
export function createClientClaims(options: ClientClaimsOptions): ClientClaims {
  const { broker, redis, keys, now } = options
  const claims = new Map<string, Entry>()

  return {
    async claim(clientId, connection, user) {
      const answer = (await options.claim(
        [keys.clients, keys.brokers, keys.head, keys.sessions],
        [clientId, broker, connection, user, String(options.claimUntil())],
      )) as readonly [string, number, string, number, number]
      const [verdict, number, previous, silence, hasSession] = answer
      if (verdict === 'refused') return undefined
      if (verdict === 'late') throw new Error('Redis came to a claim too late')
      claims.set(clientId, { connection, number, user, until: undefined })
      return {
        number,
        previous: previous === '' ? undefined : previous,
        isPreviousAlive: silence >= 0 && silence < SILENT_MS,
        hasSession: hasSession === 1,
      }
    },
    async release(clientId, connection, keptMs) {
      const mine = claims.get(clientId)
      if (mine?.connection === connection) {
        if (keptMs > 0) claims.set(clientId, { ...mine, until: now() + keptMs })
        else claims.delete(clientId)
      }
      await options.release(
        [keys.clients, keys.session(clientId), keys.sessions],
        [clientId, broker, connection, String(Math.min(keptMs, Number.MAX_SAFE_INTEGER))],
      )
    },
    isOlder(clientId, claim) {
      const mine = claims.get(clientId)
      return mine === undefined || mine.number < claim
    },
    adopted(clientId, user, keptMs) {
      claims.set(clientId, { connection: '', number: 0, user, until: now() + keptMs })
    },
    forget: (clientId) => void claims.delete(clientId),
    async rewrite() {
      for (const [clientId, { connection, user, until }] of claims) {
        if (until !== undefined && until <= now()) {
          claims.delete(clientId)
          continue
        }
        const entry = { broker, connection, user, ...(until !== undefined && { untilMs: until }) }
        await redis.send(keys.clients, ['HSETNX', keys.clients, clientId, JSON.stringify(entry)])
      }
    },
  }
}
