import type { PublishPacket } from 'aedes'
import { createTopics } from '../../protocol/index.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import { connectRedis, type RedisAddress } from '../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../runtime/redis/script.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import { judgeTopic } from '../auth/publish-rules.ts'
import type { Connection } from '../connection.ts'
import type { FanoutEmitter } from '../fanout/emitter.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import { createClientClaims, type ClientClaims } from './client-claims.ts'
import type { Word } from './entries.ts'
import { createClusterKeys } from './keys.ts'
import { createMembership } from './membership.ts'
import { createMessageLog, type MessageLog } from './message-log.ts'
import { createMoves, type Moves } from './moves.ts'
import { createSharedSessions, type AdoptedSession } from './shared-sessions.ts'
import { createShares, type Shares } from './shares.ts'
import { createWillJournal, type OrphanedWill, type WillJournal } from './will-journal.ts'

/** This broker among the others that share its Redis. */
export interface Cluster {
  /** The fan-out of this broker, and what is published here also for the others. */
  readonly emitter: FanoutEmitter
  readonly clients: ClientClaims
  readonly wills: WillJournal
  readonly claim: Moves['claim']
  readonly serves: Shares['serves']
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
  const redisForReading = await connectRedis({ ...options.redis, logger })
  const load = (name: string, answer: 'text' | 'bytes' = 'text'): Script =>
    loadScriptFile(redis, new URL(`./scripts/${name}.lua`, import.meta.url), answer)
  const topics = createTopics(root)
  let tellShares: NodeJS.Immediate | undefined
  let leaving: Promise<void> | undefined

  const log = createMessageLog({
    ...options,
    keys,
    redis,
    redisForReading,
    append: load('append'),
    onWord,
    onSynchronised() {
      wills.rewrite()
      sessions.rewrite()
      moves.doubtRedis()
      moves.reclaim()
    },
  })
  const position = (): number => log.position
  const wills = createWillJournal(redis, keys, broker, onError)
  const clients = createClientClaims({
    broker,
    keys,
    now: () => clock.now(),
    claimUntil: () => membership.redisTime() + CLAIM_MS,
    claim: load('claim-client'),
    reclaim: load('reclaim-client'),
    release: load('release-client'),
  })
  const sessions = createSharedSessions({
    broker,
    redis,
    keys,
    clock,
    store,
    scripts: { adoptClient: load('adopt-client'), forgetSession: load('forget-session') },
    position,
    unread: () => log.unread(),
    onError: (error) => logger.debug({ error: String(error) }, 'could not write sessions'),
  })
  const membership = createMembership({
    broker,
    redis,
    keys,
    clock,
    scripts: { beat: load('beat'), takeBroker: load('take-broker', 'bytes') },
    position,
    onLost() {
      logger.warn({ broker }, 'Redis was restarted or replaced')
      log.doubtRedis()
    },
    onTaken() {
      logger.warn({ broker }, 'others took this broker for dead: it was not running')
      log.doubt()
      options.onTaken()
    },
    onDead: inherit,
    onBeat(brokers) {
      shares.keepOnly(brokers)
      shares.tell()
      moves.reclaim()
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
    isUp: () => membership.isUp,
    redisTime: () => membership.redisTime(),
    say: (word) => log.say(word),
    onUnanswered: (error) =>
      options.warn(
        { broker, error: String(error) },
        'other brokers could not be asked about a client id',
      ),
  })

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

  /** Takes over what a broker that has died left behind. */
  async function inherit(dead: string, upTo: number, left: readonly OrphanedWill[]): Promise<void> {
    for (const will of left) {
      clock.after(1000 * will.delaySeconds, () => void publishOrphan(dead, will).catch(onError))
    }
    const adopted = await sessions.adopt(dead, upTo, options.sessionExpiryMs)
    for (const session of adopted) {
      clients.adopted(session.clientId, session.user, session.keptMs)
      options.onAdopted(session)
    }
    const amounts = { wills: left.length, sessions: adopted.length }
    logger.warn({ broker, gone: dead, ...amounts }, 'a broker is gone; this one takes over')
  }

  /** Publishes a will that a broker left behind, unless its client has come back by another one. */
  async function publishOrphan(from: string, { clientId, message }: OrphanedWill): Promise<void> {
    const entry = (await redis.send(keys.clients, ['HGET', keys.clients, clientId])) as
      | string
      | null
    const owner = entry === null ? from : (JSON.parse(entry) as { readonly broker: string }).broker
    if (owner === from || (owner === broker && !options.isConnected(clientId))) {
      // It becomes a message of this broker, or the others would not be given it.
      const { brokerId: _, brokerCounter: __, ...will } = message
      options.onOrphanedWill(will)
    }
  }

  async function leave(): Promise<void> {
    membership.close()
    sessions.close()
    await log.finish(LEAVE_MS)
    const left = sessions
      .flush()
      .then(() => membership.leave())
      .catch(onError)
    await Promise.race([left, new Promise((resolve) => setTimeout(resolve, LEAVE_MS))])
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
      wills.put(client.id, id, message, willDelayInterval)
    },
    async join() {
      await membership.join()
      await log.start()
    },
    say: (word) => log.say(word),
    get isUp() {
      return membership.isUp
    },
    metrics: () => ({ ...log.metrics(), clusterUp: membership.isUp ? 1 : 0 }),
    leave: () => (leaving ??= leave()),
  }
}
