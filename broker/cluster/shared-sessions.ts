import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import { keyOf } from '../persistence/outgoing-queue.ts'
import type { SessionContent } from '../persistence/session-persistence.ts'
import { createAdopter, type Adopter } from './adoption.ts'
import { decodeEntry, decodeEntryMessage, isForAbsent, type Entry } from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { RawEntry } from './log-reader.ts'
import type { ClusterScripts } from './scripts.ts'
import { decodeSession } from './session-fields.ts'
import { createSessionWriter } from './session-writer.ts'

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
  /** Takes over the sessions of a broker that has died, which hold everything up to a number of the log. */
  readonly adopt: Adopter['adopt']
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
  readonly scripts: Pick<
    ClusterScripts,
    'adoptClient' | 'forgetSession' | 'takeSession' | 'writeSession'
  >
  /** The number of the last entry that was read. */
  readonly position: () => number
  /** Messages above QoS 0 of this broker that it has not yet read in the log. */
  readonly unread: () => Iterable<EmittedPacket>
  /** Whether Redis has answered lately. */
  readonly isUp: () => boolean
  readonly onError: (error: unknown) => void
}

/** Entries that are read at once. */
const SLICE = 500

/** Connects the store's sessions with Redis. */
export function createSharedSessions(options: SharedSessionsOptions): SharedSessions {
  const { redis, keys, store, scripts, position, unread } = options
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
    const packets = [...entries.filter(isForAbsent).map(decodeEntryMessage), ...unread()]
    const early = new Map([...clientIds].map((id) => [id, new Set(store.queueOf(id)?.keys())]))
    for (const packet of packets) enqueue(clientIds, packet)
    const inOrder = packets.map(keyOf)
    for (const [clientId, keysBefore] of early) {
      // A broker that could not say how far it got may have written later ones than were known.
      store.queueOf(clientId)?.arrange(inOrder, keysBefore)
      writer.restored(clientId)
    }
  }

  function enqueue(clientIds: ReadonlySet<string>, packet: EmittedPacket): void {
    const key = keyOf(packet)
    const missing = store
      .subscribedTo(packet.topic)
      .filter(({ clientId }) => clientIds.has(clientId) && !store.queueOf(clientId)?.get(key))
    store.enqueue(missing, packet)
  }

  /** From here on nobody else writes it. */
  async function take(clientId: string) {
    const fields = await scripts.takeSession([keys.session(clientId)], [options.broker])
    return decodeSession(fields as readonly Buffer[])
  }

  function restore(clientId: string, content: SessionContent): void {
    // What is here is of an earlier stay, if this broker was not running when the session went.
    store.dropSession(clientId)
    store.restoreSession(clientId, content)
  }

  async function end(clientId: string): Promise<void> {
    // In one turn: what a new session has written by then must not go.
    await Promise.all([
      redis.send(keys.sessions, ['DEL', keys.session(clientId)]),
      redis.send(keys.sessions, ['SREM', keys.sessions, clientId]),
    ])
  }

  async function replace(clientId: string): Promise<void> {
    await end(clientId)
    writer.writeAll(clientId)
  }

  function drop(clientId: string): void {
    store.dropSession(clientId)
    writer.forget(clientId)
  }

  const adopter = createAdopter({
    ...options,
    adoptClient: scripts.adoptClient,
    take,
    catchUp,
    restore,
    replay,
    replace,
    flush: () => writer.flush(),
  })
  const writer = createSessionWriter({
    ...options,
    position: () => Math.min(position(), ...adopter.positions()),
  })
  return {
    async fetch(clientId, handover, isWanted) {
      const content = await take(clientId)
      if (!content) return
      await catchUp(handover, (entries) => {
        if (!isWanted()) return
        restore(clientId, content)
        replay(new Set([clientId]), entries)
      })
    },
    async handOver(clientId) {
      await adopter.settled(clientId)
      return writer.finish(clientId, () => {
        drop(clientId)
        return position()
      })
    },
    end,
    replace,
    drop,
    adopt: (...adoption) => adopter.adopt(...adoption),
    rewrite() {
      for (const clientId of store.sessions()) writer.writeAll(clientId)
    },
    flush: () => writer.flush(),
    close: () => writer.close(),
  }
}
