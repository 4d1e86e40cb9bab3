import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import { decodeMessage, encodeMessage, type EncodedMessage } from './entries.ts'
import type { ClusterKeys } from './keys.ts'

/** A will that a broker left behind. */
export interface OrphanedWill {
  readonly clientId: string
  /** How long after the end of its connection it is due. */
  readonly delaySeconds: number
  /** When it is due, if its connection had ended before its broker was gone, in milliseconds of Redis' clock. */
  readonly dueMs?: number
  readonly message: EmittedPacket
}

/** The wills of one broker's clients, where another broker finds them when this one dies. */
export interface WillJournal {
  put(clientId: string, connection: string, will: EmittedPacket, delaySeconds: number): void
  /** The will of a connection is void, or was published; not one that is delayed, nor that of a later connection. */
  delete(clientId: string, connection: string): void
  /** A connection has ended, and its will is due after so long. */
  delay(clientId: string, connection: string, delayMs: number): void
  /** A delayed will is void, or was published. */
  settle(clientId: string): void
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
  /** About Redis' time, in milliseconds since the epoch. */
  readonly now: () => number
  /** Whether Redis has answered lately; else it is told later. */
  readonly isUp: () => boolean
  /** Redis could not be told, and is told later. */
  readonly onUntold: (error: unknown) => void
}

interface Will {
  readonly connection: string
  readonly encoded: EncodedMessage
  readonly delaySeconds: number
  readonly dueMs?: number
}

/** When a will is due, as it is written before its message. */
type Due = Pick<OrphanedWill, 'delaySeconds' | 'dueMs'>

/** Creates the journal of one broker. */
export function createWillJournal(options: WillJournalOptions): WillJournal {
  const { broker, redis, keys, isUp, onUntold } = options
  const key = keys.wills(broker)
  const wills = new Map<string, Will>()
  let mayHaveLost = false
  /** What Redis may not know; with whether it may have another will of the client. */
  const untold = new Map<string, boolean>()
  let retelling: Promise<void> | undefined

  async function tell(clientId: string): Promise<void> {
    const will = wills.get(clientId)
    untold.delete(clientId)
    try {
      await redis.send(
        key,
        will ? ['HSET', key, clientId, encodeWill(will)] : ['HDEL', key, clientId],
      )
    } catch (error) {
      untold.set(clientId, true)
      throw error
    }
  }

  function change(clientId: string, mayBeThere: boolean): void {
    if (isUp()) tell(clientId).catch(onUntold)
    else untold.set(clientId, mayBeThere)
  }

  function remove(clientId: string): void {
    const mayBeThere = untold.get(clientId) ?? true
    wills.delete(clientId)
    // One that Redis was never told of leaves nothing to say.
    if (mayBeThere) change(clientId, true)
    else untold.delete(clientId)
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
      wills.set(clientId, { connection, delaySeconds, encoded: encodeMessage(will) })
      change(clientId, mayBeThere)
    },
    delete(clientId, connection) {
      const will = wills.get(clientId)
      if (will?.connection === connection && will.dueMs === undefined) remove(clientId)
    },
    delay(clientId, connection, delayMs) {
      const will = wills.get(clientId)
      if (will?.connection !== connection) return
      wills.set(clientId, { ...will, dueMs: Math.round(options.now() + delayMs) })
      change(clientId, untold.get(clientId) ?? true)
    },
    settle(clientId) {
      if (wills.get(clientId)?.dueMs !== undefined) remove(clientId)
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
    wills.push({ clientId: String(clientId), ...decodeWill(broker, value) })
  }
  return wills
}

function encodeWill({ delaySeconds, dueMs, encoded: { head, message } }: Will): Buffer {
  const due: Due = { delaySeconds, ...(dueMs !== undefined && { dueMs }) }
  return Buffer.concat([Buffer.from(`${JSON.stringify(due)}\n${head}\n`), message])
}

function decodeWill(broker: string, value: Buffer): Omit<OrphanedWill, 'clientId'> {
  const first = value.indexOf(10)
  const second = value.indexOf(10, first + 1)
  const due = JSON.parse(value.toString('utf8', 0, first)) as Due
  const head = value.toString('utf8', first + 1, second)
  return { ...due, message: decodeMessage(broker, head, value.subarray(second + 1)) }
}
