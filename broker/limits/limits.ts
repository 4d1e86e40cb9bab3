/** What one client, one user, one address and all together may use of a broker. */
export interface Limits {
  /** Sockets at a time. @default 20000 */
  readonly maxConnections: number
  /** Sockets of one address (of one /64 in IPv6); this machine's own is not counted. @default 500 */
  readonly maxConnectionsPerAddress: number
  /**
   * New sockets a second from one address, and ten times as many at once; of one user who is known a fifth
   * as many connections, and twice that at once. @default 50
   */
  readonly maxConnectsPerSecond: number
  /** Connections of one user. @default 100 */
  readonly maxConnectionsPerUser: number
  /** Messages and subscriptions a second of one user, all its connections together. @default 250 */
  readonly maxMessagesPerSecond: number
  /** Connection documents a second of one user. @default 50 */
  readonly maxDocumentsPerSecond: number
  /** Filters of one connection. @default 200 */
  readonly maxSubscriptions: number
  /** Sessions that are kept for absent clients. @default 10000 */
  readonly maxSessions: number
  /** Of one user. @default 20 */
  readonly maxSessionsPerUser: number
  /** Messages that wait for one session, of which the oldest goes first. @default 1000 */
  readonly maxSessionQueue: number
  /** How long a session is kept at most, in milliseconds. @default 7 days */
  readonly sessionExpiryMs: number
  /** Retained messages outside of presence. @default 10000 */
  readonly maxRetained: number
  /** Rooms, those that were left lately included. @default 100000 */
  readonly maxRoomsInAll: number
  /** Members of one room. @default 100000 */
  readonly maxMembers: number
}

/** The limits that hold where no others are set. */
export const DEFAULT_LIMITS: Limits = {
  maxConnections: 20_000,
  maxConnectionsPerAddress: 500,
  maxConnectsPerSecond: 50,
  maxConnectionsPerUser: 100,
  maxMessagesPerSecond: 250,
  maxDocumentsPerSecond: 50,
  maxSubscriptions: 200,
  maxSessions: 10_000,
  maxSessionsPerUser: 20,
  maxSessionQueue: 1000,
  sessionExpiryMs: 7 * 86_400_000,
  maxRetained: 10_000,
  maxRoomsInAll: 100_000,
  maxMembers: 100_000,
}

/**
 * Fills in the limits that are not given.
 *
 * @throws RangeError that says which limit, what was expected and what came
 */
export function resolveLimits(given: Partial<Limits> = {}): Limits {
  const limits = { ...DEFAULT_LIMITS, ...given }
  for (const [name, value] of Object.entries(limits)) {
    const isFine =
      Number.isSafeInteger(value) && value >= 0 && !(name.endsWith('Second') && value === 0)
    if (!isFine) throw new RangeError(`limits.${name} must be a whole number, got ${value}`)
  }
  return limits
}
