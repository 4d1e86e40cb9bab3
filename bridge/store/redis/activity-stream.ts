import type { Activity, ActivityLog } from '../../activity/activity.ts'
import type { RedisConnection } from '../../../runtime/redis/connection.ts'
import type { Context } from './context.ts'
import type { ActivityKeys } from './keys.ts'

/** Entries that are read at once. */
const PAGE = 1000

/** How far what Redis and a bridge take for the time may be apart, in milliseconds. */
const CLOCKS_MS = 60_000

/** Notes since when a part is remembered, unless that is known; tells it. */
export async function noteBegin(
  { redis, now }: Pick<Context, 'redis' | 'now'>,
  { activityBegin: key }: ActivityKeys,
): Promise<number> {
  const at = now()
  const known = await redis.send(key, ['SET', key, String(at), 'NX', 'GET'])
  return known === null ? at : Number(known)
}

/** Reads a stream of activity since a time. */
export async function readStream(
  context: Pick<Context, 'redis' | 'now'>,
  keys: ActivityKeys,
  since: number,
  isWanted: (entry: Activity) => boolean,
): Promise<ActivityLog> {
  const { redis } = context
  const { activity: key } = keys
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
  // Last, so that it is later than a loss in the midst of the above.
  const begin = await noteBegin(context, keys)
  return { entries, completeFrom: Math.max(begin, await readUncutFrom(redis, key)) }
}

/** From when on nothing was cut: of what was, from the first entry on, or from the last if none is left. */
async function readUncutFrom(redis: RedisConnection, key: string): Promise<number> {
  if ((await redis.send(key, ['EXISTS', key])) === 0) return 0
  const info = (await redis.send(key, ['XINFO', 'STREAM', key])) as readonly unknown[]
  const field = (name: string): unknown => info[info.indexOf(name) + 1]
  if (field('entries-added') === field('length')) return 0
  const first = field('first-entry') as readonly [string, unknown] | null
  const oldest = first ? first[0] : (field('last-generated-id') as string)
  return Number.parseInt(oldest, 10) + CLOCKS_MS
}
