export { connectionKey } from './connections.ts'
export type { DocumentInput, Effect, Input } from './input.ts'
export {
  DEFAULT_GRACE,
  resolvePolicy,
  type Policy,
  type PolicyOptions,
  type RoomGrace,
} from './policy.ts'
export { listChanges, restAfterFlush, sameMember, type RoomChange, type RoomPace } from './room.ts'
export { createUserState, nextDeadline, type ConnectionState, type UserState } from './state.ts'
export { step } from './step.ts'
export { viewMember, viewStatus, viewUser } from './view.ts'
