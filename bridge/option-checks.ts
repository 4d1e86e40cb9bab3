import { CAUSES, DEFAULT_DOCUMENT_LIMITS, isValidId } from '../protocol/index.ts'
import {
  anyNumber,
  callback,
  flag,
  listOf,
  partWith,
  recordOf,
  text,
  wholeFrom,
  type OptionChecks,
} from '../runtime/option-checks.ts'
import type { BridgeOptions } from './options.ts'

const name = text('an id of 1 to 256 characters', isValidId)
const graces = recordOf(Object.fromEntries(CAUSES.map((cause) => [cause, anyNumber])))

/** What each option of `createBridge` must be; the bounds of numbers are checked where their defaults are. */
export const OPTION_CHECKS: OptionChecks<BridgeOptions> = {
  link: partWith('readRetained', 'open', 'publish', 'close'),
  id: name,
  root: text(),
  roomPaceMinMs: anyNumber,
  roomPaceMaxMs: anyNumber,
  announceLimit: wholeFrom(0),
  documentLimits: recordOf({
    maxDocumentSize: wholeFrom(1),
    maxRooms: wholeFrom(0),
    maxDepth: wholeFrom(2, DEFAULT_DOCUMENT_LIMITS.maxDepth),
  }),
  journal: flag,
  store: partWith('loadUser', 'saveUser', 'close'),
  scope: recordOf({ broker: name, hearsOthers: callback }, ['broker']),
  logger: partWith('debug', 'info', 'warn', 'error'),
  clock: partWith('now', 'after'),
  grace: graces,
  roomGrace: listOf(recordOf({ pattern: text(), grace: graces }, ['pattern', 'grace'])),
  maxConnectionGraceMs: anyNumber,
  retainedOfflineMs: anyNumber,
  maxConnectionsPerUser: anyNumber,
}
