import { CAUSES, type Cause, type GraceOverrides } from '../../protocol/index.ts'

/** Graces for the rooms whose name matches a pattern, in which `*` stands for any characters. */
export interface RoomGrace {
  readonly pattern: string
  readonly grace: GraceOverrides
}

/** What an operator can settle about presence. */
export interface PolicyOptions {
  /** How long a connection's presence is held after it ended, by cause, in milliseconds. */
  readonly grace?: GraceOverrides
  /** Graces by room; the first pattern that matches and names the cause counts. */
  readonly roomGrace?: readonly RoomGrace[]
  /** The most that a connection's own document may ask for, in milliseconds. @default 600000 */
  readonly maxConnectionGraceMs?: number
  /** How long an offline user is remembered, in milliseconds. @default 604800000 (7 days) */
  readonly retainedOfflineMs?: number
  /** Connections of one user; further ones are refused. @default 100 */
  readonly maxConnectionsPerUser?: number
}

/** Resolved options; what the core asks. */
export interface Policy {
  readonly grace: Readonly<Record<Cause, number>>
  readonly roomGrace: readonly { readonly matches: RegExp; readonly grace: GraceOverrides }[]
  readonly maxConnectionGraceMs: number
  readonly retainedOfflineMs: number
  readonly maxConnectionsPerUser: number
}

/** The graces that hold where no others are set, in milliseconds. */
export const DEFAULT_GRACE: Readonly<Record<Cause, number>> = {
  left: 0,
  unload: 2000,
  closed: 5000,
  timeout: 5000,
  error: 5000,
  broker: 15_000,
  kicked: 0,
}

/** The longest grace that can be set, in milliseconds: a day. */
const MAX_GRACE_MS = 86_400_000

/**
 * Fills in the defaults and checks them.
 *
 * @throws RangeError that says which option, what was expected and what came
 */
export function resolvePolicy(options: PolicyOptions = {}): Policy {
  checkGrace('grace', options.grace)
  for (const { pattern, grace } of options.roomGrace ?? []) {
    if (pattern === '') throw new RangeError('roomGrace: expected a pattern such as doc-*, got ""')
    checkGrace(`roomGrace ${pattern}`, grace)
  }
  const { maxConnectionGraceMs = 600_000, retainedOfflineMs = 604_800_000 } = options
  const { maxConnectionsPerUser = 100 } = options
  checkNumber('maxConnectionGraceMs', maxConnectionGraceMs, 0, MAX_GRACE_MS)
  checkNumber('retainedOfflineMs', retainedOfflineMs, 0, Number.MAX_SAFE_INTEGER)
  checkNumber('maxConnectionsPerUser', maxConnectionsPerUser, 1, 100_000)
  return {
    grace: { ...DEFAULT_GRACE, ...options.grace },
    roomGrace: (options.roomGrace ?? []).map(({ pattern, grace }) => ({
      matches: globToRegExp(pattern),
      grace,
    })),
    maxConnectionGraceMs,
    retainedOfflineMs,
    maxConnectionsPerUser,
  }
}

function checkGrace(name: string, grace: GraceOverrides = {}): void {
  for (const cause of CAUSES) {
    const value = grace[cause]
    if (value !== undefined) checkNumber(`${name}.${cause}`, value, 0, MAX_GRACE_MS)
  }
}

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) {
    throw new RangeError(`${name} must be a number from ${min} to ${max}, got ${value}`)
  }
}

function globToRegExp(pattern: string): RegExp {
  const source = pattern
    .replace(/\*+/g, '*')
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
  return new RegExp(`^${source}$`, 'su')
}

/** The grace of a connection as such: its own wish within the bound, or the global one. */
export function connectionGrace(
  policy: Policy,
  cause: Cause,
  overrides: GraceOverrides | null,
): number {
  const own = overrides?.[cause]
  return own === undefined ? policy.grace[cause] : Math.min(own, policy.maxConnectionGraceMs)
}

/** The grace of a connection in one room: by room pattern, else the connection's. */
export function roomGrace(
  policy: Policy,
  cause: Cause,
  room: string,
  overrides: GraceOverrides | null,
): number {
  for (const { matches, grace } of policy.roomGrace) {
    const value = grace[cause]
    if (value !== undefined && matches.test(room)) return value
  }
  return connectionGrace(policy, cause, overrides)
}
