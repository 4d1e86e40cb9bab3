import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { Script } from '../../runtime/redis/script.ts'
import type { ClusterKeys } from './keys.ts'
import { createRedisTime } from './redis-time.ts'
import { decodeWills, type OrphanedWill } from './will-journal.ts'

/** Says that this broker is there, and finds out which others are not any more. */
export interface Membership {
  /** Beats for the first time; resolves to the number of the last entry of the log. */
  join(): Promise<number>
  /** Whether Redis has answered lately. */
  readonly isUp: boolean
  /** The time by Redis' clock, about, in milliseconds since the epoch. */
  redisTime(): number
  /** Leaves at once; nobody has to wait for this broker to fall silent. */
  leave(): Promise<void>
  close(): void
}

/** Options of {@link createMembership}. */
export interface MembershipOptions {
  readonly broker: string
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  readonly clock: Clock
  /** `beat.lua`, and `take-broker.lua` with its answer as bytes. */
  readonly scripts: { readonly beat: Script; readonly takeBroker: Script }
  /** The number of the last entry that was read. */
  readonly position: () => number
  /** Redis was restarted, replaced or emptied, and may have lost something. */
  readonly onLost: () => void
  /** Those brokers are there. */
  readonly onBeat: (brokers: ReadonlySet<string>) => void
  /** Others took this broker for dead, since it was not running. */
  readonly onTaken: () => void
  /**
   * A broker has died, and this one takes over what it left behind: its wills, and its sessions, which hold
   * everything up to a number of the log.
   */
  readonly onDead: (
    broker: string,
    position: number,
    wills: readonly OrphanedWill[],
  ) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** How often a broker beats, in milliseconds. */
const BEAT_MS = 1000

/** How long a broker may be silent before it counts as dead, in milliseconds. */
const DEAD_MS = 9000

/** Without an answer of Redis for this long a broker does not hear the others, in milliseconds. */
const AWAY_MS = 3000

/** Creates the membership; nothing is said before `join`. */
export function createMembership(options: MembershipOptions): Membership {
  const { broker, redis, keys, clock, scripts, onError } = options
  const redisTime = createRedisTime(() => clock.now())
  let known: string | undefined
  let answeredAt = -Infinity
  /** Since when every beat has been answered in time: whoever was away knows nothing of others' silence. */
  let steadySince = Infinity
  let isClosed = false
  let cancel = (): void => {}

  async function beat(): Promise<number> {
    const data = await redis.incarnation()
    const askedAt = clock.now()
    const [before, count, isNew, brokers, silent, time] = (await scripts.beat(
      [keys.brokers, keys.head],
      [broker, data, String(options.position()), String(DEAD_MS)],
    )) as readonly [string, number, number, readonly string[], readonly string[], number]
    const now = clock.now()
    if (now - answeredAt > AWAY_MS) steadySince = now
    answeredAt = now
    redisTime.heard(askedAt, time, now)
    const isFirst = known === undefined
    const isOther = isFirst ? before !== '' && before !== data : known !== data
    known = data
    if (isOther) options.onLost()
    else if (isNew === 1 && !isFirst) options.onTaken()
    options.onBeat(new Set(brokers))
    if (now - steadySince >= DEAD_MS) for (const other of silent) await take(other)
    return count
  }

  async function take(other: string): Promise<void> {
    if (other === broker) return
    const fields = (await scripts.takeBroker(
      [keys.brokers, keys.wills(other), keys.batches, keys.positions],
      [other, String(DEAD_MS)],
    )) as readonly [Buffer, ...Buffer[]] | null
    if (!fields || isClosed) return
    const [position, ...wills] = fields
    await options.onDead(other, Number(position), decodeWills(other, wills))
  }

  function schedule(): void {
    cancel = clock.after(BEAT_MS, () => {
      beat()
        .catch(onError)
        .finally(() => {
          if (!isClosed) schedule()
        })
    })
  }

  return {
    async join() {
      const count = await beat()
      schedule()
      return count
    },
    get isUp() {
      return clock.now() - answeredAt <= AWAY_MS
    },
    redisTime: () => redisTime.now(),
    async leave() {
      isClosed = true
      cancel()
      // As silent as can be: another one takes over at its next beat.
      await redis.send(keys.brokers, ['ZADD', keys.brokers, '0', broker])
    },
    close() {
      isClosed = true
      cancel()
    },
  }
}
