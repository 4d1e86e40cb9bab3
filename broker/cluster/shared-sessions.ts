import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Script } from '../../runtime/redis/script.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import { keyOf } from '../persistence/outgoing-queue.ts'
import type { SessionField } from '../persistence/session-persistence.ts'
import { decodeEntry, decodeMessage, type Entry } from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { RawEntry } from './log-reader.ts'
import { decodeSession, encodeField } from './session-fields.ts'

/** A session that was taken over from a broker that has died. */
export interface AdoptedSession {
  readonly clientId: string
  readonly user: string
  readonly keptMs: number
}

/** Up to where another broker has put messages into a session. */
export interface Handover {
  readonly broker: string
  /** The number of the last entry of others that is in it. */
  readonly position: number
  /** Of that broker's own entries those before this one are in it. */
  readonly ownPosition: number
}

/**
 * The sessions that outlive their connection, in Redis. Changes are written a moment later, since most of
 * what waits for a client that is there is acknowledged by then: what a broker that dies has not written is
 * read again in the log.
 */
export interface SharedSessions {
  /**
   * Takes a session from Redis, with what has come since it was handed over, if it is still wanted when it is all
   * here.
   */
  fetch(clientId: string, handover: Handover, isWanted: () => boolean): Promise<void>
  /** Writes all there is of a session and forgets it here; resolves to how far its content goes. */
  handOver(clientId: string): Promise<number>
  /** Ends a session that nobody has here. */
  end(clientId: string): Promise<void>
  /** Puts the session that is here, or none, in the place of what others have left in Redis. */
  replace(clientId: string): Promise<void>
  /** Forgets a session that is another broker's. */
  drop(clientId: string): void
  /** Takes over the sessions of a broker that has died. */
  adopt(dead: string, position: number, keptMs: number): Promise<readonly AdoptedSession[]>
  /** Writes everything: Redis may have lost some. */
  rewrite(): void
  /** Writes what has changed. */
  flush(): Promise<void>
  close(): void
}

/** Options of {@link createSharedSessions}. */
export interface SharedSessionsOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  readonly clock: Clock
  readonly store: MemoryPersistence
  readonly scripts: { readonly adoptClient: Script; readonly forgetSession: Script }
  /** The number of the last entry that was read. */
  readonly position: () => number
  /** Messages above QoS 0 of this broker that it has not yet read in the log. */
  readonly unread: () => Iterable<EmittedPacket>
  readonly onError: (error: unknown) => void
}

/** How often what has changed is written, in milliseconds. */
const FLUSH_MS = 50

/** Entries, and sessions, that are read at once. */
const SLICE = 500

/** Connects the store's sessions with Redis. */
export function createSharedSessions(options: SharedSessionsOptions): SharedSessions {
  const { broker, redis, keys, clock, store, scripts, position, unread, onError } = options
  const dirty = new Map<string, Set<SessionField>>()
  const wiped = new Set<string>()
  /** The places of messages in their queues. */
  let order = clock.now() * 1000
  const orders = new Map<string, Map<SessionField, number>>()
  let writtenPosition = -1
  let isClosed = false
  let isFlushing: Promise<void> | undefined
  let cancel = (): void => {}

  store.watch({
    changed: (clientId, field) => mark(clientId, [field]),
    wiped(clientId) {
      dirty.delete(clientId)
      orders.delete(clientId)
      wiped.add(clientId)
    },
  })

  /** These fields have to be written. */
  function mark(clientId: string, fields: Iterable<SessionField>): void {
    const known = dirty.get(clientId) ?? new Set()
    dirty.set(clientId, known)
    for (const field of fields) known.add(field)
  }

  function writeAll(clientId: string): void {
    mark(clientId, store.fieldsOf(clientId))
  }

  async function write(): Promise<void> {
    const upTo = position()
    const sent: Promise<unknown>[] = []
    for (const clientId of wiped) {
      const where = [keys.clients, keys.session(clientId), keys.sessions]
      sent.push(scripts.forgetSession(where, [clientId, broker]))
    }
    wiped.clear()
    const underway = [...dirty]
    dirty.clear()
    for (const [clientId, fields] of underway) sent.push(...writeSession(clientId, fields))
    if (upTo !== writtenPosition) {
      sent.push(redis.send(keys.positions, ['HSET', keys.positions, broker, String(upTo)]))
      writtenPosition = upTo
    }
    const results = await Promise.allSettled(sent)
    const failed = results.find(({ status }) => status === 'rejected')
    if (failed?.status !== 'rejected') return
    for (const [clientId, fields] of underway) mark(clientId, fields)
    writtenPosition = -1
    throw failed.reason
  }

  function writeSession(clientId: string, fields: Iterable<SessionField>): Promise<unknown>[] {
    const key = keys.session(clientId)
    const set: (string | Buffer)[] = []
    const gone: string[] = []
    for (const field of fields) {
      const value = encodeField(store, clientId, field, orderOf(clientId, field))
      if (value) {
        set.push(field, value)
      } else {
        gone.push(field)
        orders.get(clientId)?.delete(field)
      }
    }
    const sent: Promise<unknown>[] = []
    if (set.length > 0) {
      sent.push(redis.send(key, ['HSET', key, ...set]))
      if (set.includes('k')) sent.push(redis.send(key, ['SADD', keys.sessions, clientId]))
    }
    if (gone.length > 0) sent.push(redis.send(key, ['HDEL', key, ...gone]))
    return sent
  }

  function orderOf(clientId: string, field: SessionField): number {
    if (field[0] !== 'q') return 0
    let known = orders.get(clientId)
    if (!known) orders.set(clientId, (known = new Map()))
    let place = known.get(field)
    if (place === undefined) known.set(field, (place = ++order))
    return place
  }

  async function flush(): Promise<void> {
    while (isFlushing) await isFlushing
    isFlushing = write().finally(() => (isFlushing = undefined))
    await isFlushing
  }

  function schedule(): void {
    cancel = clock.after(FLUSH_MS, () => {
      flush()
        .catch(onError)
        .finally(() => {
          if (!isClosed) schedule()
        })
    })
  }

  /**
   * Reads what came after a handover, up to what this broker has read itself, and calls `then` in the turn in
   * which that is so: what comes from then on is not missed.
   */
  async function catchUp(
    { broker: from, position: after, ownPosition }: Handover,
    then: (entries: readonly Entry[]) => void,
  ): Promise<void> {
    const entries: Entry[] = []
    let next = after + 1
    while (next <= position()) {
      const upTo = position()
      const range = [`${next}-0`, `${upTo}-0`, 'COUNT', String(SLICE)]
      const command = ['XRANGE', keys.log, ...range]
      const raw = (await redis.sendForBytes(keys.log, command)) as readonly RawEntry[]
      for (const one of raw) {
        const entry = decodeEntry(one)
        next = entry.number + 1
        const isKnown = entry.broker === from && entry.number < ownPosition
        if (entry.message.length > 0 && !isKnown) entries.push(entry)
      }
      // What the log has no more of is lost.
      if (raw.length < SLICE) next = Math.max(next, upTo + 1)
    }
    then(entries)
  }

  /** Puts into sessions what they have missed. In one turn with taking them over, so that nothing is lost. */
  function replay(clientIds: ReadonlySet<string>, entries: readonly Entry[]): void {
    for (const { broker: from, head, message } of entries) {
      if (head.startsWith('{"qos":0')) continue
      enqueue(clientIds, decodeMessage(from, head, message))
    }
    for (const packet of unread()) enqueue(clientIds, packet)
  }

  function enqueue(clientIds: ReadonlySet<string>, packet: EmittedPacket): void {
    const key = keyOf(packet)
    const missing = store
      .subscribedTo(packet.topic)
      .filter(({ clientId }) => clientIds.has(clientId) && !store.queueOf(clientId)?.get(key))
    store.enqueue(missing, packet)
  }

  async function load(clientId: string) {
    const key = keys.session(clientId)
    return decodeSession((await redis.sendForBytes(key, ['HGETALL', key])) as readonly Buffer[])
  }

  async function end(clientId: string): Promise<void> {
    await redis.send(keys.sessions, ['DEL', keys.session(clientId)])
    await redis.send(keys.sessions, ['SREM', keys.sessions, clientId])
  }

  schedule()
  return {
    async fetch(clientId, handover, isWanted) {
      const content = await load(clientId)
      if (!content) return
      await catchUp(handover, (entries) => {
        if (!isWanted()) return
        // What is here is of an earlier stay, if this broker was not running when the session went.
        store.dropSession(clientId)
        orders.delete(clientId)
        store.restoreSession(clientId, content)
        replay(new Set([clientId]), entries)
      })
    },
    async handOver(clientId) {
      do await flush()
      while (dirty.has(clientId))
      orders.delete(clientId)
      store.dropSession(clientId)
      return position()
    },
    end,
    async replace(clientId) {
      await end(clientId)
      writeAll(clientId)
    },
    drop(clientId) {
      store.dropSession(clientId)
      dirty.delete(clientId)
      orders.delete(clientId)
    },
    async adopt(dead, upTo, keptMs) {
      const adopted: AdoptedSession[] = []
      const ids = new Set<string>()
      const contents: [string, NonNullable<Awaited<ReturnType<typeof load>>>][] = []
      for await (const clientId of clientsOf(dead)) {
        const answer = (await scripts.adoptClient(
          [keys.clients, keys.sessions],
          [clientId, dead, broker, String(keptMs)],
        )) as readonly [string, number] | null
        const content = answer && (await load(clientId))
        if (!answer || !content) continue
        adopted.push({ clientId, user: answer[0], keptMs: answer[1] })
        ids.add(clientId)
        contents.push([clientId, content])
      }
      if (contents.length === 0) return adopted
      await catchUp({ broker: dead, position: upTo, ownPosition: 0 }, (entries) => {
        for (const [clientId, content] of contents) store.restoreSession(clientId, content)
        replay(ids, entries)
      })
      return adopted
    },
    rewrite() {
      for (const clientId of store.sessions()) writeAll(clientId)
    },
    flush,
    close() {
      isClosed = true
      cancel()
    },
  }

  /** The client ids that a broker had. */
  async function* clientsOf(dead: string): AsyncGenerator<string> {
    let cursor = '0'
    do {
      const [next, fields] = (await redis.send(keys.clients, [
        'HSCAN',
        keys.clients,
        cursor,
        'COUNT',
        String(SLICE),
      ])) as readonly [string, readonly string[]]
      for (let i = 0; i + 1 < fields.length; i += 2) {
        const { broker: owner } = JSON.parse(fields[i + 1] ?? '{}') as { readonly broker?: string }
        if (owner === dead) yield fields[i] ?? ''
      }
      cursor = next
    } while (cursor !== '0')
  }
}
