import type { Client } from 'aedes'
import type { Clock } from '../runtime/clock.ts'
import type { Door } from './auth/door.ts'
import type { Expiry } from './auth/expiry.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { Sessions } from './limits/sessions.ts'
import type { Usage } from './limits/usage.ts'
import type { Liveness } from './liveness/liveness.ts'
import type { Metrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import type { MemoryPersistence } from './persistence/memory-persistence.ts'
import type { Announcer } from './presence/announcer.ts'
import type { Registry } from './registry.ts'

/** What the hooks work with. */
export interface HookContext extends ResolvedOptions {
  readonly clock: Clock
  readonly announcer: Announcer
  readonly registry: Registry
  readonly liveness: Liveness
  readonly metrics: Metrics
  readonly door: Door
  readonly expiry: Expiry
  readonly sessions: Sessions
  readonly usage: Usage
  readonly store: MemoryPersistence
  /** The other brokers, where there are some. */
  readonly others: Cluster | undefined
  readonly onError: (error: unknown) => void
  /** How many QoS 2 messages a version 5 client may have open. */
  readonly receiveMaximum: number
  /** Makes a new client's subscriptions the fan-out's. */
  readonly adopt: (client: Client) => void
  readonly warn: (fields: object, message: string) => void
  /** Ends a connection; a version 5 client is told why. */
  readonly disconnect: (client: Client, reasonCode: number, reason: string) => void
  /** Ends every connection of a client id, at all brokers, with the cause `kicked`. */
  readonly kick: (clientId: string) => void
  /** Whether there is a bridge in this process. */
  readonly hasLink: () => boolean
  /** Whether the broker ends connections by itself. */
  readonly isClosing: () => boolean
}
