import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import { decodeNumbered, encodeMessage, encodeNumbered } from './entries.ts'
import type { ClusterKeys } from './keys.ts'

/** A will that a broker left behind. */
export interface OrphanedWill {
  readonly clientId: string
  readonly delaySeconds: number
  readonly message: EmittedPacket
}

/** The wills of one broker's clients, where another broker finds them when this one dies. */
export interface WillJournal {
  put(clientId: string, connection: string, will: EmittedPacket, delaySeconds: number): void
  /** The will of a connection is void, or was published; that of a later connection stays. */
  delete(clientId: string, connection: string): void
  /** Redis may have lost wills, and may have such as are void. */
  doubtRedis(): void
  /** Redis answers: tells it what it may not know. To be called again and again; what fails is said the next time. */
  retell(): Promise<void>
}

/** Wills that Redis is told of at once. */
const SLICE = 500

/** Options of {@link createWillJournal}. */
export interface WillJournalOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  /** Whether Redis has answered lately; else it is told later. */
  readonly isUp: () => boolean
  /** Redis could not be told, and is told later. */
  readonly onUntold: (error: unknown) => void
}

/** Creates the journal of one broker. */
export function createWillJournal(options: WillJournalOptions): WillJournal {
  const { broker, redis, keys, isUp, onUntold } = options
  const key = keys.wills(broker)
  const wills = new Map<string, { readonly connection: string; readonly value: Buffer }>()
  let mayHaveLost = false
  /** What Redis may not know; with whether it may have another will of the client. */
  const untold = new Map<string, boolean>()
  let retelling: Promise<void> | undefined

  async function tell(clientId: string): Promise<void> {
    const will = wills.get(clientId)
    untold.delete(clientId)
    try {
      await redis.send(key, will ? ['HSET', key, clientId, will.value] : ['HDEL', key, clientId])
    } catch (error) {
      untold.set(clientId, true)
      throw error
    }
  }

  function change(clientId: string, mayBeThere: boolean): void {
    if (isUp()) tell(clientId).catch(onUntold)
    else untold.set(clientId, mayBeThere)
  }

  /** Redis may have lost wills, and may have such as are void. */
  async function compare(): Promise<void> {
    const there = (await redis.send(key, ['HKEYS', key])) as readonly string[]
    for (const clientId of [...wills.keys(), ...there]) untold.set(clientId, true)
  }

  async function retellAll(): Promise<void> {
    if (mayHaveLost) await compare()
    mayHaveLost = false
    const clientIds = [...untold.keys()]
    for (let i = 0; i < clientIds.length; i += SLICE) {
      const slice = clientIds.slice(i, i + SLICE).filter((clientId) => untold.has(clientId))
      await Promise.all(slice.map(tell))
    }
  }

  return {
    put(clientId, connection, will, delaySeconds) {
      const mayBeThere = untold.get(clientId) ?? wills.has(clientId)
      const value = encodeNumbered(delaySeconds, encodeMessage(will))
      wills.set(clientId, { connection, value })
      change(clientId, mayBeThere)
    },
    delete(clientId, connection) {
      if (wills.get(clientId)?.connection !== connection) return
      const mayBeThere = untold.get(clientId) ?? true
      wills.delete(clientId)
      // One that Redis was never told of leaves nothing to say.
      if (mayBeThere) change(clientId, true)
      else untold.delete(clientId)
    },
    doubtRedis() {
      mayHaveLost = true
    },
    retell: () => (retelling ??= retellAll().finally(() => (retelling = undefined))),
  }
}

/** Reads what `take-broker.lua` returns. */
export function decodeWills(broker: string, fields: readonly Buffer[]): OrphanedWill[] {
  const wills: OrphanedWill[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [clientId, value] = [fields[i], fields[i + 1]]
    if (!clientId || !value) continue
    const { number, packet } = decodeNumbered(broker, value)
    wills.push({ clientId: String(clientId), delaySeconds: number, message: packet })
  }
  return wills
}
