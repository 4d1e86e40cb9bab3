/** What page and engine agree on, and all that can be decided without a clock, a socket or a page. */
export { backoffDelay } from './backoff.ts'
export {
  deadlineOf,
  publicState,
  RESTING,
  stepConnection,
  type ConnectionPolicy,
  type Machine,
  type MachineEffect,
  type MachineInput,
} from './connection.ts'
export type {
  ConnectionState,
  ConnectionStatus,
  Departure,
  FromEngine,
  Reason,
  RoomMessage,
  SessionOptions,
  ToEngine,
  Wants,
} from './messages.ts'
export { describeDisconnect, isTokenExpiry } from './refusals.ts'
export {
  holdToken,
  isTokenOver,
  NO_RENEWAL,
  renewalDeadline,
  stepRenewal,
  type Renewal,
  type RenewalPolicy,
  type TokenTimes,
} from './renewal.ts'
export {
  isCurrent,
  membersOf,
  roomDeadline,
  stepRoom,
  UNKNOWN_ROOM,
  type RoomInput,
  type RoomView,
} from './room-view.ts'
export {
  awayAt,
  isAway,
  mergeTabs,
  openTab,
  samePresence,
  seeTab,
  tellWants,
  type Presence,
  type Tab,
} from './tabs.ts'
export { matchesFilter } from './topic-filter.ts'
