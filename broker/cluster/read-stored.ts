import type { RedisConnection } from '../../runtime/redis/connection.ts'
import {
  AGAIN,
  decodeEntry,
  decodeHead,
  decodeMessage,
  decodeNumbered,
  nameOf,
  type StoredRetained,
} from './entries.ts'
import type { ClusterKeys } from './keys.ts'
import type { RawEntry } from './log-reader.ts'

/** What is retained in Redis, and what was cleared there. */
export interface Stored {
  readonly retained: ReadonlyMap<string, StoredRetained>
  /** The versions at which topics were cleared not long ago. */
  readonly cleared: ReadonlyMap<string, number>
}

/** What is yet to be read in the log. */
export interface Coming {
  /** The topics on which something is retained or cleared. */
  readonly topics: ReadonlySet<string>
  /** Those on which this broker does that, once for each time. */
  readonly ownTopics: readonly string[]
  /** The numbers that this broker gave its messages. */
  readonly ownCounters: readonly number[]
}

/** How many retained messages, or entries, are read at once. */
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
      if (!value) continue
      const { number, packet } = decodeNumbered('', value)
      retained.set(String(fields[i]), { number, packet: { ...packet, ...nameOf(number) } })
    }
    cursor = String(next)
  } while (cursor !== '0')
  const cleared = new Map<string, number>()
  const command = ['ZRANGE', keys.cleared, '0', '-1', 'WITHSCORES']
  const list = (await redis.sendForBytes(keys.cleared, command)) as readonly Buffer[]
  for (let i = 0; i + 1 < list.length; i += 2) cleared.set(String(list[i]), Number(list[i + 1]))
  return { retained, cleared }
}

/** Reads what of the log is yet to be read, after an entry of this number. */
export async function readComing(
  redis: RedisConnection,
  keys: ClusterKeys,
  broker: string,
  after: number,
): Promise<Coming> {
  const topics = new Set<string>()
  const ownTopics: string[] = []
  const ownCounters: number[] = []
  for (let raw: readonly RawEntry[] | undefined; raw === undefined || raw.length > 0;) {
    const range = ['XRANGE', keys.log, `(${after}-0`, '+', 'COUNT', SCAN_COUNT]
    raw = (await redis.sendForBytes(keys.log, range)) as readonly RawEntry[]
    for (const one of raw) {
      const { number, broker: from, head, message } = decodeEntry(one)
      after = number
      if (message.length === 0) continue
      const { retain, counter } = decodeHead(head)
      if (from === broker) ownCounters.push(counter)
      if (!retain) continue
      const { topic } = decodeMessage(from, head, message)
      topics.add(topic)
      if (from === broker && counter !== AGAIN) ownTopics.push(topic)
    }
  }
  return { topics, ownTopics, ownCounters }
}
