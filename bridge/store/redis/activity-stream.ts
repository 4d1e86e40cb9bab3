import type { Activity, ActivityLog } from '../../activity/activity.ts'
import type { RedisConnection } from '../../../runtime/redis/connection.ts'

/** Entries that are read at once. */
const PAGE = 1000

/** How far what Redis and a bridge take for the time may be apart, in milliseconds. */
const CLOCKS_MS = 60_000

/** Reads a stream of activity since a time. */
export async function readStream(
  redis: RedisConnection,
  key: string,
  since: number,
  isWanted: (entry: Activity) => boolean,
): Promise<ActivityLog> {
  const entries: Activity[] = []
  let start = String(Math.max(0, since - CLOCKS_MS))
  for (;;) {
    const page = await redis.send(key, ['XRANGE', key, start, '+', 'COUNT', String(PAGE)])
    const rows = page as readonly [string, readonly [string, string]][]
    for (const [, [, text]] of rows) {
      const entry = JSON.parse(text) as Activity
      if (entry.at >= since && isWanted(entry)) entries.push(entry)
    }
    const last = rows.at(-1)
    if (rows.length < PAGE || !last) break
    start = `(${last[0]}`
  }
  return { entries, completeFrom: await readCompleteFrom(redis, key) }
}

/** Nothing is missing from a stream that was never cut; of one that was, from its first entry on. */
async function readCompleteFrom(redis: RedisConnection, key: string): Promise<number> {
  if ((await redis.send(key, ['EXISTS', key])) === 0) return 0
  const info = (await redis.send(key, ['XINFO', 'STREAM', key])) as readonly unknown[]
  const field = (name: string): unknown => info[info.indexOf(name) + 1]
  if (field('entries-added') === field('length')) return 0
  const first = field('first-entry') as readonly [string, unknown] | null
  return first ? Number.parseInt(first[0], 10) + CLOCKS_MS : Number.POSITIVE_INFINITY
}
