import { randomUUID } from 'node:crypto'
import type { Clock } from '../../runtime/clock.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { ClusterKeys } from './keys.ts'
import { createRedisTime } from './redis-time.ts'
import type { ClusterScripts } from './scripts.ts'
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
  /** `beat.lua`, `take-broker.lua` with its answer as bytes, and `close-estate.lua`. */
  readonly scripts: Pick<ClusterScripts, 'beat' | 'takeBroker' | 'closeEstate'>
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
   * everything up to a number of the log. Resolves when all of that is dealt with; until then the rest goes to
   * another broker should this one die, and when it fails it is called again with the rest.
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
  /** Brokers that are gone, and with whose estates this one is busy. */
  const inheriting = new Set<string>()
  let isClosed = false
  let cancel = (): void => {}

  async function beat(): Promise<number> {
    const askedAt = clock.now()
    const [data, count, isNew, brokers, silent, time] = (await scripts.beat(
      [keys.brokers, keys.head, keys.estates],
      [broker, randomUUID(), String(options.position()), String(DEAD_MS)],
    )) as readonly [string, number, number, readonly string[], readonly string[], number]
    const now = clock.now()
    const isFirst = known === undefined
    const isOther = !isFirst && known !== data
    known = data
    // Of data that is older than it seems nobody can tell who has been silent.
    if (isOther || now - answeredAt > AWAY_MS) steadySince = now
    answeredAt = now
    redisTime.heard(askedAt, time, now)
    if (isOther) options.onLost()
    else if (isNew === 1 && !isFirst) options.onTaken()
    options.onBeat(new Set(brokers))
    if (now - steadySince >= DEAD_MS) for (const other of silent) inherit(other)
    return count
  }

  /** Meanwhile this broker beats on: it must not be taken for dead itself. */
  function inherit(other: string): void {
    if (other === broker || inheriting.has(other)) return
    inheriting.add(other)
    take(other)
      .catch(onError)
      .finally(() => inheriting.delete(other))
  }

  async function take(other: string): Promise<void> {
    const { brokers, batches, positions, estates } = keys
    const orphans = keys.orphans(other)
    const fields = (await scripts.takeBroker(
      [brokers, keys.wills(other), batches, positions, estates, orphans],
      [other, String(DEAD_MS), broker],
    )) as readonly [Buffer, ...Buffer[]] | null
    if (!fields || isClosed) return
    const [position, ...wills] = fields
    await options.onDead(other, Number(position), decodeWills(other, wills))
    await scripts.closeEstate([estates, orphans, positions, brokers], [other, broker])
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
