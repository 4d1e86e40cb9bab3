import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Claim, ClientClaims } from './client-claims.ts'
import type { Word } from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { Handover, SharedSessions } from './shared-sessions.ts'

/** Lets clients move from one broker to another, with their sessions. */
export interface Moves {
  /**
   * Somebody connects with a client id: a connection of his by another broker ends, and its session comes here,
   * or ends with a clean start.
   *
   * @returns the number of the claim, which grows; undefined when the id is somebody else's. Without an answer of
   *   Redis this broker decides alone, and asks later.
   */
  claim(
    clientId: string,
    connection: string,
    user: string,
    isClean: boolean,
  ): Promise<number | undefined>
  /**
   * Redis answers: tells it of claims that it does not know. Of two connections with one client id the earlier
   * one ends then. To be called again and again; what fails is done the next time.
   */
  reclaim(): void
  /** Redis may have lost claims. */
  doubtRedis(): void
  /** Another broker has claimed a client id, which one of us had last. */
  letGo(word: Extract<Word, { readonly type: 'takeover' }>): void
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
  /** Whether Redis has answered lately. */
  readonly isUp: () => boolean
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

/** How long a client that connects waits for Redis, and for its former broker, in milliseconds. */
const WAIT_MS = 1000

/** How long it waits for its session, its former broker included, in milliseconds. */
const SESSION_MS = 3000

/** Claims that Redis is told of at once. */
const SLICE = 100

/** Creates what moves clients. */
export function createMoves(options: MovesOptions): Moves {
  const { broker, redis, keys, clock, clients, sessions, say, onError } = options
  const waiting = new Map<string, (handover: Handover) => void>()
  let mayHaveLost = false
  let reclaiming: Promise<void> | undefined

  /** A client must not wait for its CONNACK because Redis does not answer. */
  function inTime<T>(answer: Promise<T>, withinMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = clock.after(withinMs, () => {
        reject(new Error(`expected an answer of Redis within ${withinMs} ms, got none`))
      })
      answer.then(resolve, reject).finally(cancel)
    })
  }

  /** Resolves when the former broker has let go of a client id; to nothing if that takes too long. */
  function whenReleased(clientId: string): Promise<Handover | undefined> {
    return new Promise((resolve) => {
      const finish = (handover?: Handover): void => {
        cancel()
        waiting.delete(clientId)
        resolve(handover)
      }
      const cancel = clock.after(WAIT_MS, finish)
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
    isWanted: () => boolean,
  ): Promise<void> {
    if (previous === undefined || previous === broker) return
    // It is there, or may be on its way to Redis.
    const mayHaveSession = hasSession || (!isClean && isPreviousAlive)
    const released = mayHaveSession && isPreviousAlive ? whenReleased(clientId) : undefined
    say({ type: 'takeover', clientId, claim: number, holder: previous, isClean })
    const handover = await released
    if (!mayHaveSession) return
    if (isClean) await sessions.end(clientId)
    else await sessions.fetch(clientId, handover ?? (await handoverOfDead(previous)), isWanted)
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
    const released = isElsewhere && isPreviousAlive ? whenReleased(clientId) : undefined
    say({ type: 'takeover', clientId, claim: number, holder: previous ?? '', isClean: true })
    await released
    if (isElsewhere) await sessions.replace(clientId)
  }

  async function reclaimAll(): Promise<void> {
    const wasLost = mayHaveLost
    mayHaveLost = false
    try {
      const clientIds = [...clients.unsure(wasLost)]
      for (let i = 0; i < clientIds.length; i += SLICE) {
        await Promise.all(clientIds.slice(i, i + SLICE).map(settle))
      }
    } catch (error) {
      mayHaveLost ||= wasLost
      throw error
    }
  }

  return {
    async claim(clientId, connection, user, isClean) {
      const at = options.redisTime()
      let isWaiting = true
      try {
        const claim = clients.claim(clientId, connection, user)
        const claimed = await inTime(claim, options.isUp() ? WAIT_MS : 0)
        if (!claimed) return undefined
        await inTime(
          takeOver(clientId, claimed, isClean, () => isWaiting),
          SESSION_MS,
        )
        return claimed.number
      } catch (error) {
        isWaiting = false
        options.onUnanswered(error)
        return clients.assume(clientId, connection, user, at)
      }
    },
    reclaim() {
      reclaiming ??= reclaimAll()
        .catch(options.onUnanswered)
        .finally(() => (reclaiming = undefined))
    },
    doubtRedis() {
      mayHaveLost = true
    },
    letGo({ clientId, claim, holder, isClean }) {
      if (!clients.isOlder(clientId, claim)) return
      options.endConnection(clientId, () => {
        sessions
          .handOver(clientId)
          .then((position) => {
            // It may have come back meanwhile.
            if (clients.isOlder(clientId, claim)) {
              clients.forget(clientId)
              options.onMoved(clientId, isClean)
            }
            if (holder === broker) say({ type: 'released', clientId, position })
            return undefined
          })
          .catch(onError)
      })
    },
    released: (clientId, handover) => waiting.get(clientId)?.(handover),
  }
}
