import type { PublishPacket } from 'aedes'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { AdoptedSession } from './adoption.ts'
import type { ClientClaims } from './client-claims.ts'
import type { ClusterKeys } from './keys.ts'
import type { SharedSessions } from './shared-sessions.ts'
import type { OrphanedWill } from './will-journal.ts'

/**
 * Takes over what a broker that has died left behind: its wills, and its sessions, which hold everything up to a
 * number of the log. Resolves when all is dealt with; rejects when this broker leaves before that.
 */
export type Inherit = (
  dead: string,
  position: number,
  wills: readonly OrphanedWill[],
) => Promise<void>

/** Options of {@link createInheritance}. */
export interface InheritanceOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  readonly clock: Clock
  readonly logger: Logger
  readonly clients: Pick<ClientClaims, 'has' | 'adopted'>
  readonly sessions: Pick<SharedSessions, 'adopt'>
  /** How long a session is kept at most, in milliseconds. */
  readonly sessionExpiryMs: number
  /** The time by Redis' clock, about, in milliseconds since the epoch. */
  readonly redisTime: () => number
  readonly isLeaving: () => boolean
  /** Whether somebody is connected here with a client id. */
  readonly isConnected: (clientId: string) => boolean
  readonly onAdopted: (session: AdoptedSession) => void
  readonly onOrphanedWill: (will: PublishPacket) => void
}

/** How soon what has failed is tried again, in milliseconds. */
const RETRY_MS = 1000

/** What is read here of what is known of a client id. */
interface ClientEntry {
  readonly broker: string
  /** The broker from which it was taken over, if its client has not come back. */
  readonly adopted?: string
}

/** Creates what deals with the estates of brokers. */
export function createInheritance(options: InheritanceOptions): Inherit {
  const { broker, redis, keys, clock, logger, clients, sessions, isLeaving } = options

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => clock.after(ms, resolve))
  }

  /** Redis may be away for a while. */
  async function insist(run: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await run()
      } catch (error) {
        if (isLeaving()) throw error
        logger.debug({ broker, error: String(error) }, 'could not take over from a broker')
      }
      await pause(RETRY_MS)
    }
  }

  /** Publishes a will, unless its client has come back, or another broker has published it. */
  async function publish(from: string, { clientId, message }: OrphanedWill): Promise<void> {
    if (isLeaving()) throw new Error('the broker leaves')
    const key = keys.orphans(from)
    const [text, isLeft] = (await Promise.all([
      redis.send(keys.clients, ['HGET', keys.clients, clientId]),
      redis.send(key, ['HEXISTS', key, clientId]),
    ])) as readonly [string | null, number]
    if (isLeft === 0) return
    const entry: ClientEntry = text === null ? { broker: from } : (JSON.parse(text) as ClientEntry)
    const isHere = entry.broker === broker || entry.adopted !== undefined
    if (entry.broker === from || (isHere && !options.isConnected(clientId))) {
      // It becomes a message of this broker, or the others would not be given it.
      const { brokerId: _, brokerCounter: __, ...will } = message
      options.onOrphanedWill(will)
    }
    await redis.send(key, ['HDEL', key, clientId])
  }

  return async (dead, position, wills) => {
    const published = wills.map(async (will) => {
      const { delaySeconds, dueMs = options.redisTime() + 1000 * delaySeconds } = will
      const waitMs = dueMs - options.redisTime()
      if (waitMs > 0) await pause(waitMs)
      await insist(() => publish(dead, will))
    })
    let count = 0
    const adoption = {
      keptMs: options.sessionExpiryMs,
      isFree: (clientId: string) => !clients.has(clientId),
      onAdopted(session: AdoptedSession) {
        count++
        clients.adopted(session)
        options.onAdopted(session)
      },
    }
    const adopted = insist(() => sessions.adopt(dead, position, adoption)).then(() => {
      const amounts = { wills: wills.length, sessions: count }
      return logger.warn(
        { broker, gone: dead, ...amounts },
        'a broker is gone; this one takes over',
      )
    })
    await Promise.all([adopted, ...published])
  }
}
