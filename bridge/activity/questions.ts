import { formatTime, parseTime, type Cause } from '../../protocol/index.ts'
import type { Store } from '../store/store.ts'

/** How long a user was online within a time. */
export interface OnlineTime {
  readonly user: string
  readonly onlineMs: number
  /** When it was online, cut to the time that was asked for; times as in the topics. */
  readonly sessions: readonly {
    readonly from: string
    /** Null while it is online still. */
    readonly to: string | null
    readonly cause: Cause | null
  }[]
  /** Whether everything of that time is remembered. */
  readonly complete: boolean
}

/** Who was in a room at a time. */
export interface RoomAt {
  readonly room: string
  readonly at: string
  readonly members: readonly { readonly user: string; readonly since: string }[]
  /** Whether everything since that time is remembered. */
  readonly complete: boolean
}

/**
 * How long a user was online from one time to another, such as the two midnights of a day. What was
 * online at that time has gone since, with its duration, or is online still.
 */
export async function readOnlineTime(
  store: Store,
  user: string,
  from: number,
  to: number,
  now: number,
): Promise<OnlineTime> {
  const { entries, completeFrom } = await store.userActivity(user, from)
  const state = (await store.loadUser(user))?.state
  const sessions = entries
    .filter((entry) => entry.to === 'offline' && entry.durationMs !== null)
    .map(({ at, durationMs, cause }) => ({
      from: at - (durationMs ?? 0),
      to: at,
      cause,
      isOn: false,
    }))
  if (state && state.connections.length > 0) {
    sessions.push({ from: state.since, to: now, cause: null, isOn: true })
  }
  const within = sessions
    .map((session) => ({
      ...session,
      from: Math.max(session.from, from),
      to: Math.min(session.to, to),
      isOn: session.isOn && session.to <= to,
    }))
    .filter((session) => session.from < session.to)
  return {
    user,
    onlineMs: within.reduce((sum, session) => sum + session.to - session.from, 0),
    sessions: within.map((session) => ({
      from: formatTime(session.from),
      to: session.isOn ? null : formatTime(session.to),
      cause: session.cause,
    })),
    complete: completeFrom <= from,
  }
}

/** Who was in a room at a time: those who have left since, and those who are in it still. */
export async function readRoomAt(store: Store, room: string, at: number): Promise<RoomAt> {
  const { entries, completeFrom } = await store.roomActivity(room, at)
  const present = new Map<string, number>()
  for (const { user, since } of await store.roomMembers(room)) {
    if (parseTime(since) <= at) present.set(user, parseTime(since))
  }
  for (const entry of entries) {
    if (entry.to !== 'left' || entry.durationMs === null || entry.at <= at) continue
    const since = entry.at - entry.durationMs
    if (since <= at) present.set(entry.user, since)
  }
  return {
    room,
    at: formatTime(at),
    members: Array.from(present, ([user, since]) => ({ user, since: formatTime(since) })),
    complete: completeFrom <= at,
  }
}
