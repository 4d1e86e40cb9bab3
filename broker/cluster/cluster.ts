import type { PublishPacket } from 'aedes'
import { createTopics } from '../../protocol/index.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import { connectRedis, type RedisAddress } from '../../runtime/redis/connection.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import { judgeTopic } from '../auth/publish-rules.ts'
import type { Connection } from '../connection.ts'
import type { FanoutEmitter } from '../fanout/emitter.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import type { AdoptedSession } from './adoption.ts'
import { createClientClaims, type ClientClaims } from './client-claims.ts'
import type { Word } from './entries.ts'
import { createInheritance } from './inheritance.ts'
import { createClusterKeys } from './keys.ts'
import { createMembership } from './membership.ts'
import { createMessageLog, type MessageLog } from './message-log.ts'
import { createMoves, type Moves } from './moves.ts'
import { loadClusterScripts } from './scripts.ts'
import { createSharedSessions } from './shared-sessions.ts'
import { createShares, type Shares } from './shares.ts'
import { createWillJournal, type WillJournal } from './will-journal.ts'

/** This broker among the others that share its Redis. */
export interface Cluster {
  /** The fan-out of this broker, and what is published here also for the others. */
  readonly emitter: FanoutEmitter
  readonly clients: ClientClaims
  readonly wills: WillJournal
  readonly claim: Moves['claim']
  readonly serves: Shares['serves']
  /** Forgets a client id and its session, which another broker has. */
  drop(clientId: string): void
  /** Somebody has subscribed to something that is shared, or has unsubscribed. */
  sharesChanged(): void
  /** Keeps the will of a connection where others find it, unless it is about presence, or not allowed. */
  keepWill(connection: Connection): void
  /** Joins: what is retained is here when this resolves, and the others are heard. */
  join(): Promise<void>
  readonly say: MessageLog['say']
  /** Whether the others can be heard. */
  readonly isUp: boolean
  /** Gauges and counters by name. */
  metrics(): Record<string, number>
  /** Gives away what is left, and leaves. Idempotent. */
  leave(): Promise<void>
}

/** Options of {@link createCluster}. */
export interface ClusterOptions {
  /** The broker's id: new for every start. */
  readonly broker: string
  /** The prefix of the presence topics, and of the keys in Redis. */
  readonly root: string
  readonly redis: RedisAddress
  readonly clock: Clock
  readonly logger: Logger
  /** Says what strangers can cause at will. */
  readonly warn: (fields: object, message: string) => void
  readonly store: MemoryPersistence
  /** Delivers to the clients of this broker. */
  readonly fanout: FanoutEmitter
  /** How long a session is kept at most, in milliseconds. */
  readonly sessionExpiryMs: number
  /** Another broker said something. */
  readonly onWord: (word: Word) => void
  /** Runs when nobody is connecting here with a client id. */
  readonly inLine: (clientId: string, run: () => void) => void
  /** Whether somebody is connected here with a client id. */
  readonly isConnected: (clientId: string) => boolean
  /** Ends the connection of a client id, which somebody uses at another broker; `then` when it is gone. */
  readonly endConnection: (clientId: string, then: () => void) => void
  /** Another broker has a client id now, and its session. */
  readonly onMoved: (clientId: string, isClean: boolean) => void
  /** The session of an absent client is here now. */
  readonly onAdopted: (session: AdoptedSession) => void
  /** Others took this broker for dead, and have its sessions. */
  readonly onTaken: () => void
  /** A broker has died and left this will, whose client has not come back. */
  readonly onOrphanedWill: (will: PublishPacket) => void
  readonly onError: (error: unknown) => void
}

/** How long a claim may take; who waits for it waits a little longer, in milliseconds. */
const CLAIM_MS = 900

/** How long leaving may take, in milliseconds. */
const LEAVE_MS = 1000

/**
 * Connects to Redis for a broker that is one of several.
 *
 * @throws when Redis cannot be reached in time, or refuses
 */
export async function createCluster(options: ClusterOptions): Promise<Cluster> {
  const { broker, root, clock, logger, store, onError } = options
  const keys = createClusterKeys(encodeURIComponent(root))
  const redis = await connectRedis({ ...options.redis, logger })
  const redisForReading = await connectRedis({ ...options.redis, logger }).catch(
    (error: unknown) => {
      redis.close()
      throw error
    },
  )
  const scripts = loadClusterScripts(redis)
  const topics = createTopics(root)
  let tellShares: NodeJS.Immediate | undefined
  let leaving: Promise<void> | undefined
  let hasJoined = false
  /** What is not answered by now never is. */
  let hasLeft = false

  const log = createMessageLog({
    ...options,
    keys,
    redis,
    redisForReading,
    append: scripts.append,
    onWord,
    onSynchronised() {
      // A new broker has nothing that could be lost.
      if (!hasJoined) return
      wills.doubtRedis()
      moves.doubtRedis()
      tellAgain()
    },
  })
  const position = (): number => log.position
  const wills = createWillJournal({
    broker,
    redis,
    keys,
    now: () => membership.redisTime(),
    isUp,
    onUntold,
  })
  const clients = createClientClaims({
    broker,
    keys,
    now: () => membership.redisTime(),
    isUp,
    onUntold,
    claimUntil: () => membership.redisTime() + CLAIM_MS,
    claim: scripts.claimClient,
    reclaim: scripts.reclaimClient,
    release: scripts.releaseClient,
  })
  const sessions = createSharedSessions({
    broker,
    redis,
    keys,
    clock,
    store,
    scripts,
    position,
    unread: () => log.unread(),
    isUp,
    onError: (error) => logger.debug({ error: String(error) }, 'could not write sessions'),
  })
  const membership = createMembership({
    broker,
    redis,
    keys,
    clock,
    scripts,
    position,
    onLost() {
      logger.warn({ broker }, 'Redis was restarted or replaced')
      log.doubt()
    },
    onTaken() {
      logger.warn({ broker }, 'others took this broker for dead: it was not running')
      log.doubt()
      options.onTaken()
    },
    onDead: createInheritance({
      ...options,
      redis,
      keys,
      clients,
      sessions,
      redisTime: () => membership.redisTime(),
      isLeaving: () => leaving !== undefined,
    }),
    onBeat(brokers) {
      shares.keepOnly(brokers)
      shares.tell()
      tellAgain()
    },
    onError: (error) => logger.debug({ error: String(error) }, 'could not beat'),
  })
  const shares = createShares({
    broker,
    say: (word) => log.say(word),
    live: () => options.fanout.shared(),
    kept: () => store.sharedNames(),
  })
  const moves = createMoves({
    ...options,
    redis,
    keys,
    clients,
    sessions,
    position,
    redisTime: () => membership.redisTime(),
    say: (word) => log.say(word),
    onUnanswered: (error) =>
      options.warn(
        { broker, error: messageOf(error) },
        'other brokers could not be asked about a client id',
      ),
  })

  function isUp(): boolean {
    return membership.isUp
  }

  /** Redis answers: what it was told in vain is said again. */
  function tellAgain(): void {
    moves.reclaim()
    wills.retell().catch(onUntold)
  }

  function onUntold(error: unknown): void {
    if (hasLeft) return
    options.warn({ broker, error: messageOf(error) }, 'other brokers are told of a client later')
  }

  function onWord(word: Word, from: string, number: number): void {
    if (word.type === 'takeover') {
      // Not before a connection with this client id that has just begun can be ended.
      options.inLine(word.clientId, () => moves.letGo(word))
    } else if (word.type === 'released') {
      const handover = { broker: from, position: word.position, ownPosition: number }
      moves.released(word.clientId, handover)
    } else if (word.type === 'shares') {
      shares.heard(from, word)
    } else if (word.type === 'hello') {
      shares.tell(true)
    } else {
      options.onWord(word)
    }
  }

  async function leave(): Promise<void> {
    membership.close()
    sessions.close()
    const late = new Promise<'late'>((resolve) => setTimeout(resolve, LEAVE_MS, 'late'))
    await log.finish(LEAVE_MS)
    const left = sessions
      .flush()
      .then(() => membership.leave())
      .catch((error: unknown) => void (hasLeft || onError(error)))
    if ((await Promise.race([left, late])) === 'late') {
      const words = 'Redis does not answer: the other brokers learn later that this one has left'
      logger.warn({ broker, waitedMs: LEAVE_MS }, words)
    }
    hasLeft = true
    log.close()
    redis.close()
    redisForReading.close()
  }

  return {
    emitter: log.emitter,
    clients,
    wills,
    claim: (...claim) => moves.claim(...claim),
    serves: (name, packet) => shares.serves(name, packet),
    drop(clientId) {
      sessions.drop(clientId)
      clients.forget(clientId)
    },
    sharesChanged() {
      // Once for all that change in one turn.
      tellShares ??= setImmediate(() => {
        tellShares = undefined
        shares.tell()
      })
    },
    keepWill({ id, client, identity, grant }) {
      const { will } = client
      if (!will || !identity || !grant) return
      // That a broker has died bridges see for themselves.
      if (will.topic === topics.connection(identity.user, identity.client)) return
      if (judgeTopic(root, will.topic, identity, grant) !== 'allowed') return
      const { willDelayInterval = 0, ...properties } = will.properties ?? {}
      const message: EmittedPacket = {
        ...will,
        cmd: 'publish',
        dup: false,
        brokerId: broker,
        brokerCounter: 0,
        properties,
      }
      wills.put(client.id, id, message, Math.min(willDelayInterval, client.sessionExpiryInterval))
    },
    async join() {
      await membership.join()
      await log.start()
      hasJoined = true
    },
    say: (word) => log.say(word),
    get isUp() {
      return membership.isUp
    },
    metrics: () => ({ ...log.metrics(), clusterUp: membership.isUp ? 1 : 0 }),
    leave: () => (leaving ??= leave()),
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
