import type { AdoptedSession } from './adoption.ts'
import {
  createClaimScripts,
  type Claim,
  type ClaimScriptsOptions,
  type ToldClaim,
} from './claim-scripts.ts'

/** To whom a client id belongs, in all brokers together. */
export interface ClientClaims {
  /**
   * Somebody connects with a client id.
   *
   * @param isWanted whether somebody still waits for the answer when it comes
   * @returns undefined when the id is somebody else's
   * @throws when Redis does not answer
   */
  claim(
    clientId: string,
    connection: string,
    user: string,
    isWanted?: () => boolean,
  ): Promise<Claim | undefined>
  /**
   * Redis does not answer: the claim counts from here, and {@link ClientClaims.reclaim} tells Redis later.
   *
   * @param at when the client came, in milliseconds of Redis' clock
   * @returns the number of the claim, comparable with those of all brokers
   */
  assume(clientId: string, connection: string, user: string, at: number): number
  /**
   * A connection that had claimed its client id was not let in: who had the id here before has it again.
   *
   * @returns whether somebody had
   */
  withdraw(clientId: string, connection: string): boolean
  /**
   * A connection that had claimed its client id is over; its session is kept for so long, or not (0). Resolves when
   * Redis knows, or does not answer: {@link ClientClaims.reclaim} tells it later.
   */
  release(clientId: string, connection: string, keptMs: number): Promise<void>
  /** The session of a client has ended, and nobody has the client id here. */
  end(clientId: string): Promise<void>
  /** Redis says that this broker has a client id, by a claim of this number: it is told if that is not so. */
  deny(clientId: string, number: number): Promise<void>
  /** Whether the client id is claimed here. */
  has(clientId: string): boolean
  /** Whether another broker's claim is later than the one of the connection that is here. */
  isOlder(clientId: string, claim: number): boolean
  /** A session was taken over from a broker that has died. */
  adopted(session: AdoptedSession): void
  /** Another broker has the client id now. */
  forget(clientId: string): void
  /**
   * The client ids of which Redis may not know whether, and by whom, they are claimed here: it did not answer; or
   * all, when it may have lost some.
   */
  unsure(mayHaveLost: boolean): Iterable<string>
  /**
   * Tells Redis of a claim, or that it is over.
   *
   * @returns undefined when the claim is not there any more
   * @throws when Redis does not answer
   */
  reclaim(clientId: string): Promise<Reclaim | undefined>
}

/** Redis has answered, but after the time for which a claim is waited for. */
export class LateClaim extends Error {}

/** What became of a claim that Redis was told later. */
type Reclaim =
  | {
      readonly verdict: 'granted'
      readonly claim: Omit<Claim, 'hasSession'>
      /** Whether Redis did not know of it. */
      readonly isNews: boolean
    }
  /** Another broker has claimed the client id later; or it is somebody else's. The claim is void. */
  | { readonly verdict: 'older' | 'refused' }

/** Longer than anybody keeps a session; a script can count so far, in milliseconds. */
const LONGEST_MS = 1e14

/** By how much Redis' clock may be ahead of what is known of it, in milliseconds. */
const CLOCKS_MS = 50

/** Options of {@link createClientClaims}. */
export interface ClientClaimsOptions extends ClaimScriptsOptions {
  /** About Redis' time, in milliseconds since the epoch. */
  readonly now: () => number
  /** Whether Redis has answered lately; else it is told later. */
  readonly isUp: () => boolean
  /** Redis could not be told of the end of a claim, and is told later. */
  readonly onUntold: (error: unknown) => void
}

interface Entry extends ToldClaim {
  /** Whether Redis was not asked, or did not answer. */
  readonly isAssumed: boolean
  /** Whether Redis may know that this broker has the client id. */
  readonly isKnown: boolean
  /** Who had it here before. */
  readonly before: Entry | undefined
}

/** Creates the claims of one broker. */
export function createClientClaims(options: ClientClaimsOptions): ClientClaims {
  const { now, isUp } = options
  const scripts = createClaimScripts(options)
  const claims = new Map<string, Entry>()
  /** What Redis may not know; with the number of the last claim. */
  const untold = new Map<string, number>()
  /** How many claims of a client id are on their way to Redis. */
  const underway = new Map<string, number>()
  let last = 0

  function forget(clientId: string): void {
    claims.delete(clientId)
    untold.delete(clientId)
  }

  function beforeOf(clientId: string): Entry | undefined {
    const before = claims.get(clientId)
    return before && { ...before, before: undefined }
  }

  /** Whether Redis may have claims of this broker that nobody here knows of. */
  function mayBeKnown(clientId: string): boolean {
    const isKnown = claims.get(clientId)?.isKnown ?? false
    return isKnown || underway.has(clientId) || untold.has(clientId)
  }

  async function ask(
    clientId: string,
    connection: string,
    user: string,
  ): Promise<Claim | 'refused' | 'late'> {
    insistOnRedis()
    underway.set(clientId, (underway.get(clientId) ?? 0) + 1)
    try {
      return await scripts.claim(clientId, connection, user)
    } catch (error) {
      // It may have been carried out.
      if (!untold.has(clientId)) untold.set(clientId, 0)
      throw error
    } finally {
      const others = (underway.get(clientId) ?? 1) - 1
      if (others > 0) underway.set(clientId, others)
      else underway.delete(clientId)
    }
  }

  function insistOnRedis(): void {
    if (!isUp()) throw new Error('Redis is away')
  }

  /** Says that nobody has a client id here; not while a claim is on its way, which is the newer word. */
  async function disown(clientId: string): Promise<void> {
    const number = untold.get(clientId)
    if (number === undefined || claims.has(clientId) || underway.has(clientId)) return
    // Claims that nobody waited for may have higher numbers than those that are known.
    const upTo = Math.max(number, inMicroseconds(now() + CLOCKS_MS))
    insistOnRedis()
    await scripts.end(clientId, upTo)
    if (!claims.has(clientId)) untold.delete(clientId)
  }

  async function end(clientId: string): Promise<void> {
    const mine = claims.get(clientId)
    if (!mine) return
    forget(clientId)
    if (!mine.isKnown) return
    untold.set(clientId, mine.number)
    await disown(clientId).catch(options.onUntold)
  }

  /** Notes the end of a connection whose client id another one has claimed, but may have to give back. */
  function releaseBefore(clientId: string, mine: Entry, until: number | undefined): void {
    const before = until === undefined || !mine.before ? undefined : { ...mine.before, until }
    claims.set(clientId, { ...mine, before })
  }

  return {
    async claim(clientId, connection, user, isWanted = () => true) {
      // Or it might be refused for the sake of somebody who has gone.
      await disown(clientId)
      const answer = await ask(clientId, connection, user)
      if (answer === 'refused') return undefined
      if (answer === 'late') throw new LateClaim('Redis came to a claim too late')
      const { number } = answer
      if (isWanted()) {
        const before = beforeOf(clientId)
        const certain = { until: undefined, heirs: 0, isAssumed: false, isKnown: true }
        claims.set(clientId, { connection, number, user, ...certain, before })
        untold.delete(clientId)
      } else {
        untold.set(clientId, number)
      }
      return answer
    },
    assume(clientId, connection, user, at) {
      last = Math.max(inMicroseconds(at), last + 1)
      const mine = claims.get(clientId)
      // It may have been granted, and what came after that have failed.
      const isGranted = mine?.connection === connection
      const before = isGranted ? mine.before : beforeOf(clientId)
      const number = Math.max(last, isGranted ? mine.number : (mine?.number ?? -1) + 1)
      const isKnown = mayBeKnown(clientId)
      const unsure = { until: undefined, heirs: 0, isAssumed: true, isKnown }
      claims.set(clientId, { connection, number, user, ...unsure, before })
      untold.set(clientId, number)
      return number
    },
    withdraw(clientId, connection) {
      const mine = claims.get(clientId)
      if (mine?.connection !== connection || !mine.before) return false
      const isKnown = mayBeKnown(clientId)
      // Redis may have the number of the claim that is void.
      const isAsked = !mine.isAssumed || underway.has(clientId)
      const number = isAsked ? Math.max(mine.number, mine.before.number) : mine.before.number
      claims.set(clientId, { ...mine.before, number, isKnown })
      untold.set(clientId, number)
      return true
    },
    async release(clientId, connection, keptMs) {
      const mine = claims.get(clientId)
      const until = keptMs > 0 ? Math.round(now() + Math.min(keptMs, LONGEST_MS)) : undefined
      if (mine?.before?.connection === connection) releaseBefore(clientId, mine, until)
      if (mine?.connection !== connection) return
      if (until === undefined) return end(clientId)
      const kept: Entry = { ...mine, until, before: undefined }
      claims.set(clientId, kept)
      // It is told of the claim later, and of its end then, too.
      if (untold.has(clientId)) return
      try {
        insistOnRedis()
        await scripts.keep(clientId, connection, Math.min(keptMs, LONGEST_MS))
      } catch (error) {
        if (claims.get(clientId) === kept) untold.set(clientId, kept.number)
        options.onUntold(error)
      }
    },
    end,
    async deny(clientId, number) {
      if (claims.has(clientId) || underway.has(clientId)) return
      untold.set(clientId, Math.max(number, untold.get(clientId) ?? 0))
      await disown(clientId)
    },
    has: (clientId) => claims.has(clientId),
    isOlder(clientId, claim) {
      const mine = claims.get(clientId)
      return mine === undefined || mine.number < claim
    },
    adopted({ clientId, user, keptMs, connection, number, heirs }) {
      const certain = { isAssumed: false, isKnown: true, before: undefined }
      const until = Math.round(now() + Math.min(keptMs, LONGEST_MS))
      claims.set(clientId, { connection, number, user, until, heirs, ...certain })
    },
    forget,
    unsure: (mayHaveLost) =>
      mayHaveLost ? new Set([...claims.keys(), ...untold.keys()]) : untold.keys(),
    async reclaim(clientId) {
      const mine = claims.get(clientId)
      if (underway.has(clientId)) return undefined
      if (!mine) {
        await disown(clientId)
        return undefined
      }
      const answer = await scripts.reclaim(clientId, mine)
      // It may have gone meanwhile, or have come again.
      if (claims.get(clientId) !== mine) return undefined
      if (typeof answer === 'string') {
        forget(clientId)
        return { verdict: answer }
      }
      claims.set(clientId, { ...mine, isAssumed: false, isKnown: true })
      untold.delete(clientId)
      return { verdict: 'granted', claim: answer, isNews: mine.isAssumed }
    },
  }
}

/** As the numbers of Redis' claims. */
function inMicroseconds(ms: number): number {
  return Math.round(ms * 1000)
}
