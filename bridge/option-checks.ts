import * as v from 'valibot'
import {
  CAUSES,
  DEFAULT_DOCUMENT_LIMITS,
  isValidId,
  type DocumentLimits,
  type GraceOverrides,
} from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import {
  expected,
  NUMBER,
  objectOf,
  partWith,
  TEXT,
  wholeFrom,
  type Schema,
} from '../runtime/option-checks.ts'
import type { RoomGrace } from './core/index.ts'
import type { Link } from './link/link.ts'
import type { BridgeOptions, Scope } from './options.ts'
import type { Store } from './store/store.ts'

const name = expected('an id of 1 to 256 characters', v.pipe(v.string(), v.check(isValidId)))
const number = expected('a number', NUMBER)
const text = expected('text', TEXT)
const grace = objectOf<GraceOverrides>(v.entriesFromList(CAUSES, number))
const callback = v.custom<NonNullable<Scope['hearsOthers']>>((value) => typeof value === 'function')

/** What each option of `createBridge` must be; the bounds of numbers are checked where their defaults are. */
export const BRIDGE_OPTIONS: Schema<BridgeOptions> = objectOf<BridgeOptions>(
  {
    link: partWith<Link>('readRetained', 'open', 'publish', 'close'),
    id: name,
    root: text,
    roomPaceMinMs: number,
    roomPaceMaxMs: number,
    announceLimit: wholeFrom(0),
    documentLimits: objectOf<Partial<DocumentLimits>>({
      maxDocumentSize: wholeFrom(1),
      maxRooms: wholeFrom(0),
      maxDepth: wholeFrom(2, DEFAULT_DOCUMENT_LIMITS.maxDepth),
    }),
    journal: expected('true or false', v.boolean()),
    store: partWith<Store>('loadUser', 'saveUser', 'close'),
    scope: objectOf<Scope>(
      { broker: name, hearsOthers: expected('a function', callback) },
      'broker',
    ),
    logger: partWith<Logger>('debug', 'info', 'warn', 'error'),
    clock: partWith<Clock>('now', 'after'),
    grace,
    roomGrace: expected(
      'a list',
      v.array(objectOf<RoomGrace>({ pattern: text, grace }, 'pattern', 'grace')),
    ),
    maxConnectionGraceMs: number,
    retainedOfflineMs: number,
    maxConnectionsPerUser: number,
  },
  'link',
)
