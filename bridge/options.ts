import { DEFAULT_DOCUMENT_LIMITS, parseRoot, type DocumentLimits } from '../protocol/index.ts'
import { systemClock, type Clock } from '../runtime/clock.ts'
import { silentLogger, type Logger } from '../runtime/logger.ts'
import { checkOptions, definedOf } from '../runtime/option-checks.ts'
import { resolvePolicy, type Policy, type PolicyOptions, type RoomPace } from './core/index.ts'
import type { Link } from './link/link.ts'
import { BRIDGE_OPTIONS } from './option-checks.ts'
import type { Store } from './store/store.ts'

/** Options of `createBridge`. Durations are in milliseconds. */
export interface BridgeOptions extends PolicyOptions {
  /** The way to the broker. */
  readonly link: Link
  /** This bridge's name, unique among those that share a broker. @default a random one */
  readonly id?: string
  /** The prefix of all topics. @default 'presence' */
  readonly root?: string
  /** The pause after a flush of a small room. @default 50 */
  readonly roomPaceMinMs?: number
  /** The pause after a flush of a room as large as the announce limit. @default 500 */
  readonly roomPaceMaxMs?: number
  /** Above this size a room's snapshots and diffs carry the size only. @default 1000 */
  readonly announceLimit?: number
  /** Bounds on the documents that clients publish. */
  readonly documentLimits?: Partial<DocumentLimits>
  /**
   * Whether every user's state is kept as a retained message too, so that a bridge without another
   * store finds its way back after it was killed. @default false
   */
  readonly journal?: boolean
  /** Where presence is kept. @default in this process */
  readonly store?: Store
  /**
   * Set where the link brings the documents of one broker only, as in one process of several that share a
   * store: the roll of that broker alone is called. Of the others their heartbeats are heard, so that the
   * connections of one that dies are lost; their own bridges do everything else. @default every broker
   */
  readonly scope?: Scope | undefined
  /** @default silent */
  readonly logger?: Logger
  /** @default the system's */
  readonly clock?: Clock
}

/** The part of the input plane that a bridge hears. */
export interface Scope {
  /** The id of the broker. */
  readonly broker: string
  /**
   * Whether that broker hears the others. While it does not none of them is taken for lost; when it does again,
   * each gets its full time, and the bridge's own broker, which they may have taken for lost, announces its
   * connections once more. @default always
   */
  readonly hearsOthers?: () => boolean
}

/** Options with their defaults. */
export interface ResolvedOptions {
  readonly link: Link
  readonly id: string
  readonly root: string
  readonly policy: Policy
  readonly pace: RoomPace
  readonly documentLimits: DocumentLimits
  readonly journal: boolean
  readonly store: Store | undefined
  readonly scope: Scope | undefined
  readonly logger: Logger
  readonly clock: Clock
}

/**
 * Fills in the defaults and checks them.
 *
 * @throws RangeError or TypeError that says which option, what was expected and what came
 */
export function resolveOptions(given: BridgeOptions): ResolvedOptions {
  const options = checkOptions('createBridge', given, BRIDGE_OPTIONS)
  const {
    root = 'presence',
    roomPaceMinMs = 50,
    roomPaceMaxMs = 500,
    announceLimit = 1000,
  } = options
  const parsed = parseRoot(root)
  if (!parsed.ok) throw new RangeError(`root: ${parsed.error}`)
  if (!(roomPaceMinMs >= 0 && roomPaceMinMs <= roomPaceMaxMs && roomPaceMaxMs <= 60_000)) {
    throw new RangeError(
      `roomPaceMinMs must be from 0 to roomPaceMaxMs and that at most 60000, got ${roomPaceMinMs} and ${roomPaceMaxMs}`,
    )
  }
  return {
    link: options.link,
    id: options.id ?? globalThis.crypto.randomUUID(),
    root,
    policy: resolvePolicy({ ...options, grace: definedOf(options.grace ?? {}) }),
    pace: { minMs: roomPaceMinMs, maxMs: roomPaceMaxMs, announceLimit },
    documentLimits: { ...DEFAULT_DOCUMENT_LIMITS, ...definedOf(options.documentLimits ?? {}) },
    journal: options.journal ?? false,
    store: options.store,
    scope: options.scope,
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
  }
}
