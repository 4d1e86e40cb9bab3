import { createUserState, resolvePolicy, step, type UserState } from '../../../bridge/core/index.ts'
import type { UserSave } from '../../../bridge/index.ts'
import type { Json, Leave, Member } from '../../../protocol/index.ts'

const TIME = '2026-01-01T00:00:00.000Z'

/** Names that have broken something somewhere. */
export const NAMES = ['ann', 'a/b +#%', '한국어 👩‍👩‍👧', '__proto__', 'constructor', 'x'.repeat(200)]

const POLICY = resolvePolicy()

/** A state of a user with one connection that is up. */
export function stateOf(user: string, broker?: string): UserState {
  const document = { status: 'online', connection: 'c1', ...(broker && { broker }) } as const
  const input = { type: 'document', client: 'tab', document } as const
  return step(createUserState(user), input, 1000, POLICY)[0]
}

/** What saves a state that nothing follows from. */
export function saveOf(state: UserState, changes: Partial<UserSave> = {}): UserSave {
  return { state, expected: 0, deadline: null, dirty: false, rooms: [], ...changes }
}

/** A member, as others see it. */
export function member(user: string, data: Json = null): Member {
  return { user, status: 'online', since: TIME, data }
}

/** A leave, as others see it. */
export function leave(user: string): Leave {
  return { user, reason: 'closed', since: TIME, lastSeen: TIME }
}
