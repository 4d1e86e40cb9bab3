/**
 * Presence in a web page.
 *
 * @module
 */
export {
  connectPresence,
  type Presence,
  type PresenceEvents,
  type TopicMessage,
} from './page/presence.ts'
export type { PresenceOptions, Duration } from './page/options.ts'
export type { Room, RoomEvents } from './page/room.ts'
export type { User, UserEvents } from './page/user.ts'
export type { ConnectionState, ConnectionStatus, Departure, Reason } from './core/index.ts'
export type { Json, Member, UserDocument } from '../protocol/index.ts'
