/**
 * The bridge: turns connections, wills and documents into debounced, correct, retained presence.
 *
 * @module
 */
export { createBridge, type Bridge } from './bridge.ts'
export type { BridgeOptions } from './options.ts'
export { DEFAULT_GRACE, type PolicyOptions, type RoomGrace } from './core/index.ts'
export type { Link, LinkHandlers, LinkMessage, LinkPublishOptions } from './link/link.ts'
export { connectMqttLink, type MqttLinkOptions } from './link/mqtt-link.ts'
export { createMemoryStore } from './store/memory-store.ts'
export type { RoomFlush, RoomSave, Store, StoredUser, UserSave } from './store/store.ts'
