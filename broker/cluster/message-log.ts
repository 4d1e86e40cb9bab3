import type { Cancel, Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Script } from '../../runtime/redis/script.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import type { FanoutEmitter } from '../fanout/emitter.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import { versionOf } from '../retained/version.ts'
import {
  AGAIN,
  decodeEntryMessage,
  decodeHead,
  encodeMessage,
  type Entry,
  type Word,
} from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import { createLogReader, type LogReader } from './log-reader.ts'
import { createLogWriter } from './log-writer.ts'
import { readComing, readStored, type Coming } from './read-stored.ts'
import { retainAgain } from './retain-again.ts'
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
  /** Something may be missing, here or in Redis. */
  doubt(): void
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

/** When something was dropped, what is retained is compared so much later, in milliseconds. */
const DROPPED_MS = 3000

const NOTHING = Buffer.alloc(0)

/** Creates the log; nothing is read before `start`. */
export function createMessageLog(options: MessageLogOptions): MessageLog {
  const { broker, root, keys, redis, clock, logger, store, fanout, onError } = options
  const pending = new PendingRetained()
  /** By their number. */
  const unread = new Map<number, EmittedPacket>()
  const counters = { clusterSent: 0, clusterReceived: 0, clusterGaps: 0 }
  let reader: LogReader | undefined
  /** Which data Redis held when what is retained was compared last. */
  let known: string | undefined
  /** Topics of which Redis may lack what is retained here: that was dropped, or has not been told again. */
  const owed = new Set<string>()
  let cancelCompare: Cancel | undefined

  const writer = createLogWriter({
    broker,
    keys,
    clock,
    script: options.append,
    onDropped({ retainedOn }) {
      if (retainedOn !== undefined) owed.add(retainedOn)
      // Not at once: what Redis has refused it may refuse again.
      cancelCompare ??= clock.after(DROPPED_MS, () => {
        cancelCompare = undefined
        reader?.doubt()
      })
    },
    onRefused: () => reader?.doubt(),
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

  function onEntry(entry: Entry): void {
    const { broker: from, head, message, number } = entry
    const isOwn = from === broker
    if (message.length === 0) {
      if (!isOwn) options.onWord(JSON.parse(head) as Word, from, number)
      return
    }
    const packet = decodeEntryMessage(entry)
    const { counter, retain } = decodeHead(head)
    if (isOwn) {
      unread.delete(counter)
      if (retain && counter !== AGAIN) pending.arrived(packet.topic)
      return
    }
    counters.clusterReceived++
    // Redis had lost it; who reads here has not.
    if (counter === AGAIN && isKnown(packet)) return
    const { topic } = packet
    // Where there are versions they have the last word, here as in Redis.
    const isVersioned = versionOf(packet) !== undefined && store.versionOn(topic) !== undefined
    if (!packet.retain || isVersioned || !pending.isLater(topic)) return deliver(packet)
    // A later message of this broker is retained and delivered already. Of what people read the older one
    // is of no use any more; anything else is owed to its readers.
    if (!topic.startsWith(`${root}/`)) deliver(packet, false)
  }

  /** Whether the same is retained here already. */
  function isKnown({ topic, payload, qos }: EmittedPacket): boolean {
    const here = store.retainedOn(topic)
    if (!here) return payload.length === 0
    return here.qos === qos && Buffer.from(here.payload).equals(Buffer.from(payload))
  }

  /** Does with a message of another broker what Aedes does with one of its own. */
  function deliver(packet: EmittedPacket, isRetained = packet.retain): void {
    if (!store.admits(packet)) return
    // The store is in memory: this is done when it returns.
    if (isRetained) void store.storeRetained(packet)
    if (packet.qos > 0) store.enqueue(store.subscribedTo(packet.topic), packet)
    fanout.emit(packet)
  }

  function say(word: Word): void {
    writer.append({ head: JSON.stringify(word), message: NOTHING })
  }

  /** Makes this broker and Redis retain the same; resolves to where the log goes on. */
  async function synchronise(): Promise<number> {
    await writer.hold()
    try {
      const before = reader?.position ?? 0
      const data = (await redis.send(keys.head, ['HGET', keys.head, 'epoch'])) as string | null
      const resumed = await findPlace(before, data ?? '')
      const stored = await readStored(redis, keys)
      // After what is stored: of what happens meanwhile the log tells.
      const coming = await readComing(redis, keys, broker, resumed)
      const { lastBatch } = await lookAt(data ?? '')
      // From here on nothing happens meanwhile.
      const isLossy = known !== undefined && known !== data
      for (const topic of writer.takeBack(lastBatch)) owed.add(topic)
      recount(coming)
      for (const [topic, version] of stored.cleared) store.noteCleared(topic, version)
      const { missed, lacking } = compareRetained({
        local: store.allRetained(),
        stored: stored.retained,
        position: before,
        mayLack: (topic) => isLossy || owed.has(topic),
        versionOn: (topic) => store.versionOn(topic),
        isLater: (topic) =>
          pending.isLater(topic) || (reader !== undefined && coming.topics.has(topic)),
      })
      owed.clear()
      for (const packet of missed) deliver(packet)
      // First: what waits may be about it, as a diff is about the snapshot before it.
      const again = lacking.map((topic) => retainAgain(store, broker, topic, resumed))
      known = data ?? ''
      writer.trust(known, again)
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
  async function findPlace(before: number, data: string): Promise<number> {
    const { count } = await lookAt(data)
    if (!reader) return count
    const range = ['XRANGE', keys.log, `(${before}-0`, '+', 'COUNT', '1']
    const [next] = (await redis.send(keys.log, range)) as readonly (readonly [string, unknown])[]
    return next ? Number.parseInt(next[0], 10) - 1 : count
  }

  /**
   * How far the log is, and what it has of this broker.
   *
   * @throws when Redis does not hold this data, or may have lost some of it
   */
  async function lookAt(data: string): Promise<{ count: number; lastBatch: number }> {
    const { log, head, batches, retained, cleared, emptied } = keys
    const [count, lastBatch] = (await options.append(
      [log, head, batches, retained, cleared, emptied],
      [broker, '0', '0', data],
    )) as readonly [number, number]
    return { count, lastBatch }
  }

  /** Of what was given to the log only what still waits, and what is yet to be read, will ever be read there. */
  function recount({ ownTopics, ownCounters }: Coming): void {
    const topics = [...ownTopics]
    const left = new Set(ownCounters)
    for (const { head, message, retainedOn } of writer.waiting()) {
      if (message.length > 0) left.add(decodeHead(head).counter)
      if (retainedOn !== undefined) topics.push(retainedOn)
    }
    pending.restart(topics)
    for (const counter of unread.keys()) if (!left.has(counter)) unread.delete(counter)
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
    metrics: () => ({ ...counters, clusterDropped: writer.dropped }),
    finish: (withinMs) => writer.close(withinMs),
    close() {
      cancelCompare?.()
      reader?.close()
    },
  }
}
