import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { ClientClaims } from './client-claims.ts'
import type { Word } from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { Handover, SharedSessions } from './shared-sessions.ts'

/** Lets clients move from one broker to another, with their sessions. */
export interface Moves {
  /**
   * Somebody connects with a client id: a connection of his by another broker ends, and its session comes here,
   * or ends with a clean start.
   *
   * @returns the number of the claim, which grows; undefined when the id is somebody else's
   * @throws when Redis does not answer
   */
  claim(
    clientId: string,
    connection: string,
    user: string,
    isClean: boolean,
  ): Promise<number | undefined>
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
  readonly say: (word: Word) => void
  /** Ends the connection of a client id; `then` when it is gone. */
  readonly endConnection: (clientId: string, then: () => void) => void
  /** Another broker has a client id now, and its session. */
  readonly onMoved: (clientId: string, isClean: boolean) => void
  readonly onError: (error: unknown) => void
}

/** How long a client that connects waits for Redis, and for its former broker, in milliseconds. */
const WAIT_MS = 1000

/** Creates what moves clients. */
export function createMoves(options: MovesOptions): Moves {
  const { broker, redis, keys, clock, clients, sessions, say, onError } = options
  const waiting = new Map<string, (handover: Handover) => void>()

  /** A client must not wait for its CONNACK because Redis does not answer. */
  function inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = clock.after(options.isUp() ? WAIT_MS : 0, () => {
        reject(new Error('Redis did not say in time to whom a client id belongs'))
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

  return {
    async claim(clientId, connection, user, isClean) {
      const claimed = await inTime(clients.claim(clientId, connection, user))
      if (!claimed) return undefined
      const { previous, number, isPreviousAlive, hasSession } = claimed
      if (previous === undefined || previous === broker) return number
      // It is there, or may be on its way to Redis.
      const mayHaveSession = hasSession || (!isClean && isPreviousAlive)
      const released = mayHaveSession && isPreviousAlive ? whenReleased(clientId) : undefined
      say({ type: 'takeover', clientId, claim: number, holder: previous, isClean })
      const handover = await released
      if (!mayHaveSession) return number
      if (isClean) await sessions.end(clientId)
      else await sessions.fetch(clientId, handover ?? (await handoverOfDead(previous)))
      return number
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
