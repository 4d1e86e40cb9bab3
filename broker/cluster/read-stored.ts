import type { RedisConnection } from '../../runtime/redis/connection.ts'
import { decodeNumbered, type StoredRetained } from './entries.ts'
import type { ClusterKeys } from './keys.ts'

/** What is retained in Redis, and what was cleared there. */
export interface Stored {
  readonly retained: ReadonlyMap<string, StoredRetained>
  /** The versions at which topics were cleared not long ago. */
  readonly cleared: ReadonlyMap<string, number>
}

/** How many retained messages are read at once. */
const SCAN_COUNT = '1000'

/** Reads it, while it may change. */
export async function readStored(redis: RedisConnection, keys: ClusterKeys): Promise<Stored> {
  const retained = new Map<string, StoredRetained>()
  let cursor = '0'
  do {
    const command = ['HSCAN', keys.retained, cursor, 'COUNT', SCAN_COUNT]
    const answer = (await redis.sendForBytes(keys.retained, command)) as readonly [
      Buffer,
      readonly Buffer[],
    ]
    const [next, fields] = answer
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const value = fields[i + 1]
      if (value) retained.set(String(fields[i]), decodeNumbered('', value))
    }
    cursor = String(next)
  } while (cursor !== '0')
  const cleared = new Map<string, number>()
  const command = ['ZRANGE', keys.cleared, '0', '-1', 'WITHSCORES']
  const list = (await redis.sendForBytes(keys.cleared, command)) as readonly Buffer[]
  for (let i = 0; i + 1 < list.length; i += 2) cleared.set(String(list[i]), Number(list[i + 1]))
  return { retained, cleared }
}
