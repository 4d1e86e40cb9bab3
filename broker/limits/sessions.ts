import type { Clock } from '../../runtime/clock.ts'

/** Options of {@link createSessions}. */
export interface SessionsOptions {
  readonly clock: Clock
  /** Sessions that are kept for absent clients. */
  readonly maxSessions: number
  /** Of one user. */
  readonly maxSessionsPerUser: number
  /** How long a session is kept at most, in milliseconds. */
  readonly sessionExpiryMs: number
  /** Forgets a session's subscriptions and messages. */
  readonly wipe: (clientId: string) => void
}

/** To whom the client ids belong, and which sessions are kept for absent clients. */
export interface Sessions {
  /**
   * Somebody connects with a client id. False when the id is somebody else's: of a live connection, or of
   * a session that is kept.
   */
  claim(clientId: string, owner: string | undefined): boolean
  /** Whether somebody is connected, or connecting, with a client id. */
  isLive(clientId: string): boolean
  /** A connection that had claimed its client id is over. */
  release(clientId: string, user: string, isKept: boolean, expiresInMs: number): void
  /** Keeps the session of an absent client that another broker had. */
  adopt(clientId: string, owner: string | undefined, user: string, keptMs: number): void
  /** Another broker has the session of a client id now. */
  drop(clientId: string): void
  /** Ends sessions that have been kept for long enough. */
  sweep(): void
  /** Sessions of absent clients. */
  readonly absent: number
  /** Sessions that were not kept, or not for as long as was asked for, because there were too many. */
  readonly dropped: number
}

interface Entry {
  readonly owner: string | undefined
  connections: number
  /** Another broker has the session. */
  isMoved?: boolean
  /** Of an absent client. */
  kept: { readonly user: string; readonly until: number } | undefined
}

/** Creates the book of client ids. */
export function createSessions(options: SessionsOptions): Sessions {
  const { clock, maxSessions, maxSessionsPerUser, sessionExpiryMs, wipe } = options
  const entries = new Map<string, Entry>()
  /** The client ids of a user's kept sessions, the oldest first. */
  const keptByUser = new Map<string, Set<string>>()
  let absent = 0
  let dropped = 0

  function unkeep(clientId: string, entry: Entry): void {
    if (!entry.kept) return
    const kept = keptByUser.get(entry.kept.user)
    kept?.delete(clientId)
    if (kept?.size === 0) keptByUser.delete(entry.kept.user)
    entry.kept = undefined
    absent--
  }

  function forget(clientId: string, entry: Entry): void {
    unkeep(clientId, entry)
    entries.delete(clientId)
    // What nobody owns must not be there for the next one to find.
    wipe(clientId)
  }

  function keep(clientId: string, entry: Entry, user: string, until: number): void {
    // The newest goes, so that nobody drives out what is kept for others …
    if (absent >= maxSessions) {
      dropped++
      return forget(clientId, entry)
    }
    const kept = keptByUser.get(user) ?? new Set()
    // … but of one's own the oldest.
    const [oldest] = kept
    if (oldest !== undefined && kept.size >= maxSessionsPerUser) {
      const old = entries.get(oldest)
      dropped++
      if (old) forget(oldest, old)
    }
    kept.add(clientId)
    keptByUser.set(user, kept)
    entry.kept = { user, until }
    absent++
  }

  return {
    claim(clientId, owner) {
      const entry = entries.get(clientId)
      if (!entry) {
        entries.set(clientId, { owner, connections: 1, kept: undefined })
        return true
      }
      if (entry.owner !== owner) return false
      unkeep(clientId, entry)
      entry.isMoved = false
      entry.connections++
      return true
    },
    isLive: (clientId) => (entries.get(clientId)?.connections ?? 0) > 0,
    release(clientId, user, isKept, expiresInMs) {
      const entry = entries.get(clientId)
      if (!entry || --entry.connections > 0) return
      if (entry.isMoved === true) return void entries.delete(clientId)
      if (!isKept) return forget(clientId, entry)
      keep(clientId, entry, user, clock.now() + Math.min(expiresInMs, sessionExpiryMs))
    },
    adopt(clientId, owner, user, keptMs) {
      if (entries.has(clientId)) return
      const entry: Entry = { owner, connections: 0, kept: undefined }
      entries.set(clientId, entry)
      keep(clientId, entry, user, clock.now() + Math.min(keptMs, sessionExpiryMs))
    },
    drop(clientId) {
      const entry = entries.get(clientId)
      if (!entry) return
      unkeep(clientId, entry)
      entry.isMoved = true
      if (entry.connections === 0) entries.delete(clientId)
    },
    sweep() {
      const now = clock.now()
      for (const [clientId, entry] of entries) {
        if (entry.kept && entry.kept.until <= now) forget(clientId, entry)
      }
    },
    get absent() {
      return absent
    },
    get dropped() {
      return dropped
    },
  }
}
