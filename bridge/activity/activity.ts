import { parseTime, type Cause } from '../../protocol/index.ts'
import type { Effect } from '../core/index.ts'

/** One coming or going: of a user, or of a user in a room. */
export interface Activity {
  readonly user: string
  /** The room; null for the user's own coming and going. */
  readonly room: string | null
  readonly from: 'online' | 'offline' | 'joined' | 'left'
  readonly to: 'online' | 'offline' | 'joined' | 'left'
  /** Why it went; null when it came. */
  readonly cause: Cause | null
  /** Milliseconds since the epoch. */
  readonly at: number
  /** How long it had been as in `from`, in milliseconds; null when that is unknown. */
  readonly durationMs: number | null
}

/** A part of what is remembered. */
export interface ActivityLog {
  readonly entries: readonly Activity[]
  /** From this time on nothing is missing, in milliseconds since the epoch. */
  readonly completeFrom: number
}

/** What there is to remember of a step. */
export function activityOf(
  user: string,
  effects: readonly Effect[],
  now: number,
): readonly Activity[] {
  return effects.flatMap((effect): Activity[] => {
    switch (effect.type) {
      case 'transition': {
        const { to, cause, at, since } = effect
        const from = to === 'online' ? 'offline' : 'online'
        return [
          { user, room: null, from, to, cause, at, durationMs: since > 0 ? at - since : null },
        ]
      }
      case 'member': {
        const { room, joined } = effect
        const entry = { user, room, from: 'left', to: 'joined', cause: null } as const
        return joined ? [{ ...entry, at: now, durationMs: null }] : []
      }
      case 'leave': {
        const { room, leave } = effect
        const durationMs = now - parseTime(leave.since)
        const entry = { user, room, from: 'joined', to: 'left', cause: leave.reason } as const
        return [{ ...entry, at: now, durationMs }]
      }
      case 'user':
      case 'forget':
      case 'stale':
      case 'refused':
        return []
    }
  })
}
