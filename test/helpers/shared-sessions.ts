import { createClusterKeys } from '../../broker/cluster/keys.ts'
import { loadClusterScripts, type ClusterScripts } from '../../broker/cluster/scripts.ts'
import { createSharedSessions, type SharedSessions } from '../../broker/cluster/shared-sessions.ts'
import { MemoryPersistence } from '../../broker/persistence/memory-persistence.ts'
import type { RedisConnection } from '../../runtime/redis/connection.ts'
import { ManualClock } from './manual-clock.ts'
import { onTeardown } from './teardown.ts'

/** The sessions of one broker, without the broker. */
export interface BrokerSessions {
  readonly sessions: SharedSessions
  readonly store: MemoryPersistence
  /** The keys of what waits for a client, in order. */
  waitingFor(clientId: string): readonly string[]
}

/** What a test may put in the place of the usual. */
export interface StartSessionsOptions {
  /** Stands between the broker and its scripts. */
  readonly between?: (scripts: ClusterScripts) => Partial<ClusterScripts>
  /** @default throws */
  readonly onError?: (error: unknown) => void
}

/** What brokers of tests share. */
export const clusterKeys = createClusterKeys('test')

/**
 * Creates the sessions of a broker that has read the log up to a number, and closes them at the end of the test.
 * Nothing is written by the clock, but at once, or when it is told to.
 */
export function startSessions(
  redis: RedisConnection,
  broker: string,
  position: () => number,
  options: StartSessionsOptions = {},
): BrokerSessions {
  const store = new MemoryPersistence({ isSentByFanout: true })
  const scripts = loadClusterScripts(redis)
  const sessions = createSharedSessions({
    broker,
    redis,
    keys: clusterKeys,
    clock: new ManualClock(),
    store,
    scripts: { ...scripts, ...options.between?.(scripts) },
    position,
    unread: () => [],
    isUp: () => true,
    onError:
      options.onError ??
      ((error) => {
        throw error
      }),
  })
  onTeardown(() => sessions.close())
  return {
    sessions,
    store,
    waitingFor: (clientId) => [...(store.queueOf(clientId)?.keys() ?? [])],
  }
}
