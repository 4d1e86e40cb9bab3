import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import type { SessionField, SessionSubscription } from '../persistence/session-persistence.ts'
import type { ClusterKeys } from './keys.ts'
import type { ClusterScripts } from './scripts.ts'
import { encodeField, encodeSubscription } from './session-fields.ts'

/** Writes what changes in the sessions that are here to Redis: subscriptions at once, messages a moment later. */
export interface SessionWriter {
  /** All of a session has to be written. */
  writeAll(clientId: string): void
  /** A session is here now that was in Redis: it is written anew, in the order that it has now. */
  restored(clientId: string): void
  /** A session is another broker's: nothing of it is written any more. */
  forget(clientId: string): void
  /** Writes what has changed. */
  flush(): Promise<void>
  /** Writes one session until nothing of it is left to write, and calls `then` in the turn in which that is so. */
  finish<T>(clientId: string, then: () => T): Promise<T>
  close(): void
}

/** Options of {@link createSessionWriter}. */
export interface SessionWriterOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  readonly clock: Clock
  readonly store: MemoryPersistence
  readonly scripts: Pick<ClusterScripts, 'forgetSession' | 'writeSession'>
  /** The number of the entry of the log up to which everything is in the sessions. */
  readonly position: () => number
  /** Whether Redis has answered lately; else nobody waits for it. */
  readonly isUp: () => boolean
  readonly onError: (error: unknown) => void
}

type Changed = readonly [clientId: string, fields: Iterable<SessionField>]

/** How often what has changed is written, in milliseconds. */
const FLUSH_MS = 50

/** How long a client waits for its SUBACK or UNSUBACK until Redis has the subscription, in milliseconds. */
const TOLD_MS = 1000

/** Sessions that are written at once. */
const SLICE = 500

/** Watches the store, and begins. */
export function createSessionWriter(options: SessionWriterOptions): SessionWriter {
  const { broker, redis, keys, clock, store, scripts, position, onError } = options
  const dirty = new Map<string, Set<SessionField>>()
  /** Subscriptions as they will be when they are written. */
  const coming = new Map<string, Map<string, SessionSubscription | undefined>>()
  const wiped = new Set<string>()
  /** Those of which something may be in Redis. */
  const written = new Set<string>()
  /** The places of messages in their queues. */
  let order = clock.now() * 1000
  const orders = new Map<string, Map<SessionField, number>>()
  let writtenPosition = -1
  let isClosed = false
  let soon: Promise<void> | undefined
  /** Does not reject: what has failed is written again. */
  let isFlushing: Promise<void> | undefined
  let cancel = (): void => {}

  store.watch({
    // A session and its subscriptions are in no log: what its client is told of them must not be lost.
    async changing(clientId, changes) {
      const own = coming.get(clientId) ?? new Map<string, SessionSubscription | undefined>()
      coming.set(clientId, own)
      for (const [filter, subscription] of changes) own.set(filter, subscription)
      mark(
        clientId,
        Array.from(changes.keys(), (filter) => `s:${filter}` as const),
      )
      if (options.isUp()) await withinBound(writeSoon().catch(onError))
      if (coming.get(clientId) !== own) return
      // What is told of meanwhile is not here yet.
      for (const [filter, subscription] of changes) {
        if (own.get(filter) === subscription) own.delete(filter)
      }
      if (own.size === 0) coming.delete(clientId)
    },
    changed(clientId, field) {
      mark(clientId, [field])
      if (field === 'k' || field.startsWith('s')) writeSoon().catch(onError)
    },
    wiped(clientId) {
      forget(clientId)
      if (written.delete(clientId)) wiped.add(clientId)
    },
  })

  /** Redis may not answer. */
  function withinBound(told: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const giveUp = clock.after(TOLD_MS, resolve)
      void told.then(resolve).finally(giveUp)
    })
  }

  function forget(clientId: string): void {
    dirty.delete(clientId)
    orders.delete(clientId)
    coming.delete(clientId)
  }

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
    // Before what is written of a new session with the same client id.
    while (wiped.size > 0) await forgetWiped()
    // What changes meanwhile has its turn the next time.
    for (let left = dirty.size; left > 0; left -= SLICE) await writeChanged([...firstOf(dirty)])
    if (upTo === writtenPosition) return
    await redis.send(keys.positions, ['HSET', keys.positions, broker, String(upTo)])
    writtenPosition = upTo
  }

  async function forgetWiped(): Promise<void> {
    const slice = [...firstOf(wiped)]
    for (const clientId of slice) wiped.delete(clientId)
    const sent = slice.map((clientId) => {
      const where = [keys.clients, keys.session(clientId), keys.sessions]
      return scripts.forgetSession(where, [clientId, broker])
    })
    await allOf(sent, () => {
      for (const clientId of slice) wiped.add(clientId)
    })
  }

  async function writeChanged(changed: readonly Changed[]): Promise<void> {
    for (const [clientId] of changed) dirty.delete(clientId)
    // Those that are not here any more are another broker's to write.
    const isHere = ([clientId]: Changed): boolean => store.hasSession(clientId)
    const sent = changed.filter(isHere).map((session) => writeSession(...session))
    await allOf(sent, () => {
      for (const session of changed.filter(isHere)) mark(...session)
    })
  }

  function writeSession(clientId: string, fields: Iterable<SessionField>): Promise<unknown> {
    written.add(clientId)
    const set: (string | Buffer)[] = []
    const gone: string[] = []
    for (const field of fields) {
      const value = encode(clientId, field)
      if (value) {
        set.push(field, value)
      } else {
        gone.push(field)
        orders.get(clientId)?.delete(field)
      }
    }
    return scripts.writeSession(
      [keys.clients, keys.session(clientId), keys.sessions],
      [clientId, broker, String(set.length / 2), ...set, ...gone],
    )
  }

  function encode(clientId: string, field: SessionField): Buffer | undefined {
    const filter = field.slice(2)
    const told = coming.get(clientId)
    if (field[0] === 's' && told?.has(filter)) return encodeSubscription(told.get(filter))
    return encodeField(store, clientId, field, orderOf(clientId, field))
  }

  function orderOf(clientId: string, field: SessionField): number {
    if (field[0] !== 'q') return 0
    let known = orders.get(clientId)
    if (!known) orders.set(clientId, (known = new Map()))
    let place = known.get(field)
    if (place === undefined) known.set(field, (place = ++order))
    return place
  }

  /** One writes after the other. */
  async function inTurn(run: () => Promise<void>): Promise<void> {
    while (isFlushing) await isFlushing
    const result = run()
    isFlushing = result.catch(() => {}).finally(() => (isFlushing = undefined))
    await result
  }

  function flush(): Promise<void> {
    return inTurn(write)
  }

  /** Once for all that changes in one turn, and while something else is written. */
  function writeSoon(): Promise<void> {
    return (soon ??= writeNext())
  }

  async function writeNext(): Promise<void> {
    await nextTurn()
    while (isFlushing) await isFlushing
    soon = undefined
    if (!isClosed) await flush()
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

  schedule()
  return {
    writeAll,
    restored(clientId) {
      dirty.delete(clientId)
      orders.delete(clientId)
      written.add(clientId)
      writeAll(clientId)
    },
    forget(clientId) {
      forget(clientId)
      written.delete(clientId)
    },
    flush,
    async finish(clientId, then) {
      await flush()
      // Faster than everything together: messages may come all the time.
      for (;;) {
        while (isFlushing) await isFlushing
        const fields = dirty.get(clientId)
        if (!fields) return then()
        await inTurn(() => writeChanged([[clientId, fields]]))
      }
    },
    close() {
      isClosed = true
      cancel()
    },
  }
}

function* firstOf<T>(items: Iterable<T>): Generator<T> {
  let left = SLICE
  for (const item of items) {
    if (left-- === 0) return
    yield item
  }
}

/** Resolves when all are done; with one that fails it rejects when all are over. */
async function allOf(sent: readonly Promise<unknown>[], failed: () => void): Promise<void> {
  const results = await Promise.allSettled(sent)
  const one = results.find(({ status }) => status === 'rejected')
  if (one?.status !== 'rejected') return
  failed()
  throw one.reason
}
