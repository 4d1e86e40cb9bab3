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
  /**
   * Redis does not answer: the claim counts from here, and {@link ClientClaims.reclaim} tells Redis later.
   *
   * @param at when the client came, in milliseconds of Redis' clock
   * @returns the number of the claim, comparable with those of all brokers
   */
  assume(clientId: string, connection: string, user: string, at: number): number
  /** A connection that had claimed its client id is over; its session is kept for so long, or not (0). */
  release(clientId: string, connection: string, keptMs: number): Promise<void>
  /** Whether the client id is claimed here. */
  has(clientId: string): boolean
  /** Whether another broker's claim is later than the one of the connection that is here. */
  isOlder(clientId: string, claim: number): boolean
  /** A session was taken over from a broker that has died. */
  adopted(clientId: string, user: string, keptMs: number): void
  /** Another broker has the client id now. */
  forget(clientId: string): void
  /** The client ids of which Redis may not know: it did not answer; or all, when it may have lost some. */
  unsure(mayHaveLost: boolean): Iterable<string>
  /**
   * Tells Redis of a claim.
   *
   * @returns undefined when the claim is not there any more
   * @throws when Redis does not answer
   */
  reclaim(clientId: string): Promise<Reclaim | undefined>
}

/** What became of a claim that Redis was told later. */
export type Reclaim =
  | {
      readonly verdict: 'granted'
      readonly claim: Omit<Claim, 'hasSession'>
      /** Whether Redis did not know of it. */
      readonly isNews: boolean
    }
  /** Another broker has claimed the client id later; or it is somebody else's. The claim is void. */
  | { readonly verdict: 'older' | 'refused' }

/** A client id that was claimed. */
export interface Claim {
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
  readonly keys: ClusterKeys
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Until when somebody waits for a claim that is made now, in milliseconds of Redis' clock. */
  readonly claimUntil: () => number
  /** `claim-client.lua`. */
  readonly claim: Script
  /** `reclaim-client.lua`. */
  readonly reclaim: Script
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
  const { broker, keys, now } = options
  const claims = new Map<string, Entry>()
  /** Redis has not said that it knows of them. */
  const assumed = new Set<string>()
  let last = 0

  function forget(clientId: string): void {
    claims.delete(clientId)
    assumed.delete(clientId)
  }

  function isAlive(silence: number): boolean {
    return silence >= 0 && silence < SILENT_MS
  }

  return {
    async claim(clientId, connection, user) {
      const answer = (await options.claim(
        [keys.clients, keys.brokers, keys.head, keys.sessions],
        [clientId, broker, connection, user, String(options.claimUntil())],
      )) as readonly [string, number, string, number, number]
      const [verdict, number, previous, silence, hasSession] = answer
      if (verdict === 'refused') return undefined
      if (verdict === 'late') throw new Error('Redis came to a claim too late')
      const before = claims.get(clientId)
      // The answer may come when another connection has the client id.
      if (!before || before.number < number) {
        claims.set(clientId, { connection, number, user, until: undefined })
        assumed.delete(clientId)
      }
      return {
        number,
        previous: previous === '' ? undefined : previous,
        isPreviousAlive: isAlive(silence),
        hasSession: hasSession === 1,
      }
    },
    assume(clientId, connection, user, at) {
      // As those of Redis: microseconds.
      last = Math.max(Math.round(at * 1000), last + 1)
      const before = claims.get(clientId)
      // It may have been granted, and what came after that have failed.
      const number = Math.max(last, before?.connection === connection ? before.number : 0)
      claims.set(clientId, { connection, number, user, until: undefined })
      assumed.add(clientId)
      return number
    },
    async release(clientId, connection, keptMs) {
      const mine = claims.get(clientId)
      if (mine?.connection === connection) {
        if (keptMs > 0) claims.set(clientId, { ...mine, until: now() + keptMs })
        else forget(clientId)
      }
      await options.release(
        [keys.clients, keys.session(clientId), keys.sessions],
        [clientId, broker, connection, String(Math.min(keptMs, Number.MAX_SAFE_INTEGER))],
      )
    },
    has: (clientId) => claims.has(clientId),
    isOlder(clientId, claim) {
      const mine = claims.get(clientId)
      return mine === undefined || mine.number < claim
    },
    adopted(clientId, user, keptMs) {
      claims.set(clientId, { connection: '', number: 0, user, until: now() + keptMs })
    },
    forget,
    unsure: (mayHaveLost) => (mayHaveLost ? claims.keys() : assumed),
    async reclaim(clientId) {
      const mine = claims.get(clientId)
      if (!mine) return undefined
      const { connection, number, user, until = '' } = mine
      const [verdict, previous = '', silence = -1] = (await options.reclaim(
        [keys.clients, keys.brokers, keys.head],
        [clientId, broker, connection, user, String(number), String(until)],
      )) as readonly [Reclaim['verdict'], string?, number?]
      // It may have gone meanwhile, or have come again.
      if (claims.get(clientId) !== mine) return undefined
      if (verdict !== 'granted') {
        forget(clientId)
        return { verdict }
      }
      const isNews = assumed.delete(clientId)
      const isPreviousAlive = isAlive(silence)
      const claim = { number, previous: previous === '' ? undefined : previous, isPreviousAlive }
      return { verdict, claim, isNews }
    },
  }
}
