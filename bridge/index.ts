/**
 * The bridge: turns connections, wills and documents into debounced, correct, retained presence.
 *
 * @module
 */
export { createBridge, type Bridge } from './bridge.ts'
export type { BridgeOptions, Scope } from './options.ts'
export { DEFAULT_GRACE, type PolicyOptions, type RoomGrace } from './core/index.ts'
export type { Link, LinkHandlers, LinkMessage, LinkPublishOptions } from './link/link.ts'
export { connectMqttLink, type MqttLinkOptions } from './link/mqtt-link.ts'
export type { Activity, ActivityLog } from './activity/activity.ts'
export { readOnlineTime, readRoomAt, type OnlineTime, type RoomAt } from './activity/questions.ts'
export { createMemoryStore } from './store/memory-store.ts'
export { createRedisStore, type RedisStoreOptions } from './store/redis/redis-store.ts'
export type {
  Beat,
  HeardCount,
  HeardEntry,
  HeardLog,
  HeardStamps,
  RoomFlush,
  RoomSave,
  SharedStore,
  Store,
  StoredUser,
  UserSave,
} from './store/store.ts'
