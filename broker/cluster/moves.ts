import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Claim } from './claim-scripts.ts'
import { LateClaim, type ClientClaims } from './client-claims.ts'
import { clientsOf, type ClaimedClient } from './clients-of.ts'
import type { Word } from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { Handover, SharedSessions } from './shared-sessions.ts'

type Takeover = Extract<Word, { readonly type: 'takeover' }>

/** Lets clients move from one broker to another, with their sessions. */
export interface Moves {
  /**
   * Somebody connects with a client id: a connection of his by another broker ends, and its session comes here,
   * or ends with a clean start.
   *
   * @param isThere whether the client still waits for its CONNACK
   * @returns the number of the claim, which grows; undefined when the id is somebody else's. Without an answer of
   *   Redis this broker decides alone, and asks later.
   */
  claim(
    clientId: string,
    connection: string,
    user: string,
    isClean: boolean,
    isThere: () => boolean,
  ): Promise<number | undefined>
  /**
   * Redis answers: tells it of claims that it does not know, and of those that are over. Of two connections with
   * one client id the earlier one ends then. To be called again and again; what fails is done the next time.
   */
  reclaim(): void
  /** Redis may have lost claims and sessions, and may have such as are over. */
  doubtRedis(): void
  /** Another broker has claimed a client id, which one of us had last. */
  letGo(word: Takeover): void
  /** Another broker has let go of a client id. */
  released(clientId: string, handover: Handover): void
}

/** Options of {@link createMoves}. */
export interface MovesOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  readonly clock: Clock
  readonly clients: ClientClaims
  readonly sessions: SharedSessions
  /** The number of the last entry that was read. */
  readonly position: () => number
  /** The time by Redis' clock, about, in milliseconds since the epoch. */
  readonly redisTime: () => number
  readonly say: (word: Word) => void
  /** Ends the connection of a client id; `then` when it is gone. */
  readonly endConnection: (clientId: string, then: () => void) => void
  /** Another broker has a client id now, and its session. */
  readonly onMoved: (clientId: string, isClean: boolean) => void
  /** Redis did not say in time to whom a client id belongs. */
  readonly onUnanswered: (error: unknown) => void
  readonly onError: (error: unknown) => void
}

/** A session that is on its way here. */
interface Arrival {
  /** Whether nobody was told that he has none. */
  isWanted: boolean
  done: Promise<void>
}

/** How long a client that connects waits for Redis, and its former broker and its session included, in milliseconds. */
const CLAIM_MS = 1000
const ALL_MS = 2000

/** How long a former broker is waited for when nobody waits for its answer, in milliseconds. */
const RELEASE_MS = 1000

/** How long, and how often, a former broker tries to write what it has of a session, in milliseconds. */
const GIVE_MS = 1000
const GIVE_AGAIN_MS = 100

/** Claims that Redis is told of at once. */
const SLICE = 100

/** Creates what moves clients. */
export function createMoves(options: MovesOptions): Moves {
  const { broker, redis, keys, clock, clients, sessions, say, onError } = options
  const waiting = new Map<string, (handover: Handover) => void>()
  const arrivals = new Map<string, Arrival>()
  let mayHaveLost = false
  let isReclaiming = false
  let isAskedAgain = false

  /**
   * A client must not wait for its CONNACK because Redis does not answer. With one that has gone there is time: it
   * is told nothing that could prove wrong, and its session must not be lost on the way.
   */
  function inTime<T>(answer: Promise<T>, withinMs: number, isThere: () => boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = clock.after(withinMs, () => {
        if (!isThere()) return
        reject(new Error(`expected an answer of Redis within ${withinMs} ms, got none`))
      })
      answer.then(resolve, reject).finally(cancel)
    })
  }

  /** Resolves when the former broker has let go of a client id; to nothing if that takes too long. */
  function whenReleased(clientId: string, withinMs: number): Promise<Handover | undefined> {
    return new Promise((resolve) => {
      const finish = (handover?: Handover): void => {
        cancel()
        if (waiting.get(clientId) === finish) waiting.delete(clientId)
        resolve(handover)
      }
      const cancel = clock.after(withinMs, finish)
      waiting.set(clientId, finish)
    })
  }

  /** How far a broker got that cannot say it any more. */
  async function handoverOfDead(dead: string): Promise<Handover> {
    const written = await redis.send(keys.positions, ['HGET', keys.positions, dead])
    const position = written === null ? options.position() : Number(written)
    return { broker: dead, position, ownPosition: 0 }
  }

  /** Ends what others have of a client, and takes its session, if somebody still waits for that. */
  async function takeOver(
    clientId: string,
    { previous, number, isPreviousAlive, hasSession }: Claim,
    isClean: boolean,
    by: number,
    isWanted: () => boolean,
  ): Promise<void> {
    if (previous === undefined || previous === broker) return
    // It is there, or may be on its way to Redis.
    const mayHaveSession = hasSession || (!isClean && isPreviousAlive)
    // As much time is left for the session itself.
    const left = by - clock.now()
    const withinMs = left > 0 ? left / 2 : RELEASE_MS
    const released =
      mayHaveSession && isPreviousAlive ? whenReleased(clientId, withinMs) : undefined
    say({ type: 'takeover', clientId, claim: number, holder: previous, isClean })
    const handover = await released
    if (!mayHaveSession || !isWanted()) return
    if (isClean) await sessions.end(clientId)
    else await sessions.fetch(clientId, handover ?? (await handoverOfDead(previous)), isWanted)
  }

  /** As `takeOver`; a session that is on its way here already is waited for. */
  function arrive(clientId: string, claim: Claim, isClean: boolean, by: number): Arrival {
    const earlier = arrivals.get(clientId)
    if (earlier && claim.previous === broker) return earlier
    if (earlier) earlier.isWanted = false
    const arrival: Arrival = { isWanted: true, done: Promise.resolve() }
    arrivals.set(clientId, arrival)
    const isWanted = (): boolean => arrival.isWanted
    arrival.done = takeOver(clientId, claim, isClean, by, isWanted).finally(() => {
      if (arrivals.get(clientId) === arrival) arrivals.delete(clientId)
    })
    return arrival
  }

  /** Tells Redis of a claim; a connection that somebody has replaced ends. */
  async function settle(clientId: string): Promise<void> {
    const answer = await clients.reclaim(clientId)
    if (answer?.verdict === 'granted') {
      if (answer.isNews) await announce(clientId, answer.claim)
    } else if (answer) {
      await new Promise<void>((resolve) => options.endConnection(clientId, resolve))
      // It may have come back meanwhile.
      if (clients.has(clientId)) return
      sessions.drop(clientId)
      options.onMoved(clientId, false)
    }
  }

  /** A client was told that it has the session that is here, or none: what others have of it is void. */
  async function announce(
    clientId: string,
    { number, previous, isPreviousAlive }: Omit<Claim, 'hasSession'>,
  ): Promise<void> {
    const isElsewhere = previous !== undefined && previous !== broker
    const isAnswered = isElsewhere && isPreviousAlive
    const released = isAnswered ? whenReleased(clientId, RELEASE_MS) : undefined
    say({ type: 'takeover', clientId, claim: number, holder: previous ?? '', isClean: true })
    await released
    // It may have moved on meanwhile.
    if (isElsewhere && clients.has(clientId)) await sessions.replace(clientId)
  }

  /** Releases what Redis has under the name of this broker, and this broker has not. */
  async function denyOthers(): Promise<void> {
    // What it has taken over is dealt with where that is done.
    const isOwn = (client: ClaimedClient): boolean =>
      client.broker === broker && client.adopted === undefined
    for await (const owned of clientsOf(redis, keys, isOwn)) {
      for (const slice of slicesOf(owned)) {
        await Promise.all(slice.map(({ clientId, number }) => clients.deny(clientId, number)))
      }
    }
  }

  async function reclaimAll(): Promise<void> {
    const wasLost = mayHaveLost
    mayHaveLost = false
    try {
      for (const slice of slicesOf([...clients.unsure(wasLost)])) {
        await Promise.all(slice.map(settle))
      }
      if (!wasLost) return
      // Not before: of a session that another broker has in Redis' view that one would delete it.
      sessions.rewrite()
      await denyOthers()
    } catch (error) {
      mayHaveLost ||= wasLost
      throw error
    }
  }

  /** Writes a session for the broker that has it now; undefined when that could not be done in time. */
  async function give(clientId: string, claim: number): Promise<number | undefined> {
    const until = clock.now() + GIVE_MS
    // It may have come back meanwhile.
    while (clients.isOlder(clientId, claim)) {
      try {
        return await sessions.handOver(clientId)
      } catch (error) {
        onError(error)
      }
      // That one has gone on without it, and what would be written now would spoil what it writes.
      if (clock.now() >= until) break
      await new Promise<void>((resolve) => void clock.after(GIVE_AGAIN_MS, resolve))
    }
    return undefined
  }

  async function giveAway({ clientId, claim, holder, isClean }: Takeover): Promise<void> {
    const position = await give(clientId, claim)
    if (clients.isOlder(clientId, claim)) {
      if (position === undefined) sessions.drop(clientId)
      clients.forget(clientId)
      options.onMoved(clientId, isClean)
    }
    if (holder === broker && position !== undefined) say({ type: 'released', clientId, position })
  }

  function reclaim(): void {
    if (isReclaiming) {
      isAskedAgain = true
      return
    }
    isReclaiming = true
    isAskedAgain = false
    void reclaimAll()
      .catch(options.onUnanswered)
      .finally(() => {
        isReclaiming = false
        if (isAskedAgain) reclaim()
      })
  }

  return {
    async claim(clientId, connection, user, isClean, isThere) {
      const at = options.redisTime()
      const by = clock.now() + ALL_MS
      let isWaiting = true
      let arrival: Arrival | undefined
      const claim = clients.claim(clientId, connection, user, () => isWaiting)
      try {
        const claimed = await inTime(claim, CLAIM_MS, isThere)
        if (!claimed) return undefined
        arrival = arrive(clientId, claimed, isClean, by)
        await inTime(arrival.done, by - clock.now(), isThere)
        return claimed.number
      } catch (error) {
        isWaiting = false
        if (arrival) arrival.isWanted = false
        options.onUnanswered(error)
        const number = clients.assume(clientId, connection, user, at)
        // Whoever has an older connection hears of it later, even if this one is over by then.
        say({ type: 'takeover', clientId, claim: number, holder: '', isClean: true })
        // At once when it answers after all: the client may be elsewhere in a moment.
        void claim.then(reclaim, (late) => late instanceof LateClaim && reclaim())
        return number
      }
    },
    reclaim,
    doubtRedis() {
      mayHaveLost = true
    },
    letGo(word) {
      if (!clients.isOlder(word.clientId, word.claim)) return
      options.endConnection(word.clientId, () => void giveAway(word).catch(onError))
    },
    released: (clientId, handover) => waiting.get(clientId)?.(handover),
  }
}

function* slicesOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i += SLICE) yield items.slice(i, i + SLICE)
}
