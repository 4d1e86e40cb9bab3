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
  /** Writes all of them: Redis may have lost some. */
  rewrite(): void
}

/** Creates the journal of one broker. */
export function createWillJournal(
  redis: RedisConnection,
  keys: ClusterKeys,
  broker: string,
  onError: (error: unknown) => void,
): WillJournal {
  const key = keys.wills(broker)
  const wills = new Map<string, { readonly connection: string; readonly value: Buffer }>()

  function send(command: string, ...args: readonly (string | Buffer)[]): void {
    redis.send(key, [command, key, ...args]).catch(onError)
  }

  return {
    put(clientId, connection, will, delaySeconds) {
      const value = encodeNumbered(delaySeconds, encodeMessage(will))
      wills.set(clientId, { connection, value })
      send('HSET', clientId, value)
    },
    delete(clientId, connection) {
      if (wills.get(clientId)?.connection !== connection) return
      wills.delete(clientId)
      send('HDEL', clientId)
    },
    rewrite() {
      for (const [clientId, { value }] of wills) send('HSET', clientId, value)
    },
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
