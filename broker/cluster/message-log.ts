import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Script } from '../../runtime/redis/script.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import type { FanoutEmitter } from '../fanout/emitter.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import { setVersion, versionOf } from '../retained/version.ts'
import {
  decodeEntry,
  decodeHead,
  decodeMessage,
  encodeMessage,
  type Entry,
  type Word,
} from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import { createLogReader, type LogReader, type RawEntry } from './log-reader.ts'
import { createLogWriter } from './log-writer.ts'
import { readStored } from './read-stored.ts'
import { compareRetained, PendingRetained } from './shared-retained.ts'

/** What is published at one broker and read at all: one log, with one order for everybody. */
export interface MessageLog {
  /** The fan-out of this broker, and what is published here also for the others. */
  readonly emitter: FanoutEmitter
  /** Reads what is retained, and the log from there on. */
  start(): Promise<void>
  /** Says something to the other brokers. */
  say(word: Word): void
  /** The number of the last entry that was read. */
  readonly position: number
  /** Messages above QoS 0 of this broker that it has not yet read in the log. */
  unread(): Iterable<EmittedPacket>
  /** Something may be missing here. */
  doubt(): void
  /** Redis was restarted, replaced or emptied: something may be missing there. */
  doubtRedis(): void
  metrics(): Record<string, number>
  /** Resolves when everything is written, or after a bound. */
  finish(withinMs: number): Promise<void>
  close(): void
}

/** Options of {@link createMessageLog}. */
export interface MessageLogOptions {
  readonly broker: string
  /** The prefix of the presence topics. */
  readonly root: string
  readonly keys: ClusterKeys
  readonly redis: RedisConnection
  /** A connection of its own, since reading blocks it. */
  readonly redisForReading: RedisConnection
  readonly clock: Clock
  readonly logger: Logger
  /** `append.lua`. */
  readonly append: Script
  readonly store: MemoryPersistence
  /** Delivers to the clients of this broker. */
  readonly fanout: FanoutEmitter
  /** Another broker says something, in an entry of this number. */
  readonly onWord: (word: Word, from: string, number: number) => void
  /** What is retained is in step again; of what else is kept in Redis some may be lost. */
  readonly onSynchronised: () => void
  readonly onError: (error: unknown) => void
}

/** How many entries of the log are read at once. */
const SCAN_COUNT = '1000'

const NOTHING = Buffer.alloc(0)

/** The number of what is only retained again; Aedes counts from 1. */
const AGAIN = 0

/** Creates the log; nothing is read before `start`. */
export function createMessageLog(options: MessageLogOptions): MessageLog {
  const { broker, root, keys, redis, clock, logger, store, fanout, onError } = options
  const pending = new PendingRetained()
  /** By their number. */
  const unread = new Map<number, EmittedPacket>()
  const counters = { clusterSent: 0, clusterReceived: 0, clusterGaps: 0 }
  let reader: LogReader | undefined
  let isLossy = false
  /** Which data Redis held when what is retained was compared last. */
  let epoch: string | undefined

  const writer = createLogWriter({
    broker,
    keys,
    clock,
    script: options.append,
    // What others retain is compared with what is retained here, and made the same.
    onDropped: () => reader?.doubt(),
    onError,
  })

  function write(packet: EmittedPacket, done?: () => void): void {
    const { topic, retain, payload } = packet
    const entry = encodeMessage(packet)
    counters.clusterSent++
    if (packet.qos > 0) unread.set(packet.brokerCounter, packet)
    if (!retain) return writer.append(entry, done)
    pending.sent(topic)
    writer.append({ ...entry, retainedOn: topic, clears: payload.length === 0 }, done)
  }

  function onEntry({ broker: from, head, message, number }: Entry): void {
    const isOwn = from === broker
    if (message.length === 0) {
      if (!isOwn) options.onWord(JSON.parse(head) as Word, from, number)
      return
    }
    if (isOwn) {
      const { counter, retain } = decodeHead(head)
      unread.delete(counter)
      if (retain && counter !== AGAIN) pending.arrived(decodeMessage(from, head, message).topic)
      return
    }
    const packet = decodeMessage(from, head, message)
    counters.clusterReceived++
    const { topic } = packet
    // Where there are versions they have the last word, here as in Redis.
    const isVersioned = versionOf(packet) !== undefined && store.versionOn(topic) !== undefined
    if (!packet.retain || isVersioned || !pending.isLater(topic)) return deliver(packet)
    // A later message of this broker is retained and delivered already. Of what people read the older one
    // is of no use any more; anything else is owed to its readers.
    if (!topic.startsWith(`${root}/`)) deliver(packet, false)
  }

  /** Does with a message of another broker what Aedes does with one of its own. */
  function deliver(packet: EmittedPacket, isRetained = packet.retain): void {
    if (!store.admits(packet)) return
    // The store is in memory: this is done when it returns.
    if (isRetained) void store.storeRetained(packet)
    if (packet.qos > 0) store.enqueue(store.subscribedTo(packet.topic), packet)
    fanout.emit(packet)
  }

  /** What is retained here is told to Redis, unless somebody has told it something later meanwhile. */
  function retainAgain(topic: string, unlessSince: number): void {
    const packet = retainedHere(topic)
    const clears = packet.payload.length === 0
    writer.append({ ...encodeMessage(packet), retainedOn: topic, clears, unlessSince })
  }

  function say(word: Word): void {
    writer.append({ head: JSON.stringify(word), message: NOTHING })
  }

  /** Makes this broker and Redis retain the same; resolves to where the log goes on. */
  async function synchronise(): Promise<number> {
    await writer.hold()
    try {
      const before = reader?.position ?? 0
      const resumed = await findPlace(before)
      if (isLossy) {
        pending.restart(writer.waiting())
        unread.clear()
      }
      const stored = await readStored(redis, keys)
      for (const [topic, version] of stored.cleared) store.noteCleared(topic, version)
      // After what is stored: of what happens meanwhile the log tells.
      const coming = await readComing(resumed)
      const { missed, lacking } = compareRetained({
        local: store.allRetained(),
        stored: stored.retained,
        position: before,
        isLossy,
        versionOn: (topic) => store.versionOn(topic),
        isLater: (topic) => pending.isLater(topic) || (reader !== undefined && coming.has(topic)),
      })
      isLossy = false
      for (const packet of missed) deliver(packet)
      for (const topic of lacking) retainAgain(topic, resumed)
      if (reader) {
        counters.clusterGaps++
        const amounts = { missed: missed.length, lacking: lacking.length }
        logger.warn({ broker, ...amounts }, 'what is retained was compared, and is in step again')
      }
      options.onSynchronised()
      say({ type: 'hello' })
      return resumed
    } finally {
      writer.resume()
    }
  }

  /** The number of the entry after which to read on: nothing that the log still has is passed over. */
  async function findPlace(before: number): Promise<number> {
    const command = ['HMGET', keys.head, 'count', 'epoch']
    const [count, data] = (await redis.send(keys.head, command)) as readonly (string | null)[]
    if (!data) throw new Error('Redis is empty, and nobody has beaten yet')
    if (epoch !== undefined && epoch !== data) isLossy = true
    epoch = data
    if (!reader) return Number(count)
    const range = ['XRANGE', keys.log, `(${before}-0`, '+', 'COUNT', '1']
    const [next] = (await redis.send(keys.log, range)) as readonly (readonly [string, unknown])[]
    return next ? Number.parseInt(next[0], 10) - 1 : Number(count)
  }

  /** The topics on which something is retained or cleared in what is yet to be read. */
  async function readComing(after: number): Promise<ReadonlySet<string>> {
    const topics = new Set<string>()
    for (let raw: readonly RawEntry[] | undefined; raw === undefined || raw.length > 0;) {
      const range = ['XRANGE', keys.log, `(${after}-0`, '+', 'COUNT', SCAN_COUNT]
      raw = (await redis.sendForBytes(keys.log, range)) as readonly RawEntry[]
      for (const one of raw) {
        const { number, broker: from, head, message } = decodeEntry(one)
        after = number
        if (message.length === 0) continue
        const { retain, topic } = decodeMessage(from, head, message)
        if (retain) topics.add(topic)
      }
    }
    return topics
  }

  /** What is retained here on a topic, as a message that says so; without a payload when nothing is. */
  function retainedHere(topic: string): EmittedPacket {
    const { payload = NOTHING, qos = 0, properties, messageExpiry } = store.retainedOn(topic) ?? {}
    const packet: EmittedPacket = {
      cmd: 'publish',
      topic,
      payload,
      qos,
      retain: true,
      dup: false,
      brokerId: broker,
      brokerCounter: AGAIN,
      ...(properties !== undefined && { properties }),
      ...(messageExpiry !== undefined && { messageExpiry }),
    }
    const version = store.versionOn(topic)
    if (version !== undefined) setVersion(packet, version)
    return packet
  }

  const emitter: FanoutEmitter = {
    ...fanout,
    on: (...args) => (fanout.on(...args), emitter),
    removeListener: (...args) => (fanout.removeListener(...args), emitter),
    close: (...args) => (fanout.close(...args), emitter),
    emit(packet, done = () => {}) {
      if (packet.brokerId !== broker || packet.topic.startsWith('$')) {
        fanout.emit(packet, done)
        return emitter
      }
      if (packet.qos === 0 && !packet.retain) {
        fanout.emit(packet, done)
        write(packet)
        return emitter
      }
      // Acknowledged when it can be lost no more: the readers here have it, and so have the other brokers.
      let left = 2
      let failure: Error | undefined
      const finish = (error?: Error): void => {
        failure ??= error
        if (--left === 0) done(failure)
      }
      fanout.emit(packet, finish)
      write(packet, () => finish())
      return emitter
    },
  }

  return {
    emitter,
    async start() {
      reader = createLogReader(await synchronise(), {
        redis: options.redisForReading,
        keys,
        onEntry,
        synchronise,
        onError: (error) => logger.debug({ error: String(error) }, 'could not read the log'),
      })
    },
    say,
    get position() {
      return reader?.position ?? 0
    },
    unread: () => unread.values(),
    doubt() {
      reader?.doubt()
    },
    doubtRedis() {
      isLossy = true
      reader?.doubt()
    },
    metrics: () => ({ ...counters, clusterDropped: writer.dropped }),
    finish: (withinMs) => writer.close(withinMs),
    close() {
      reader?.close()
    },
  }
}
