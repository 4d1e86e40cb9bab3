/**
 * The topics and documents of the presence contract: parse and format, no I/O.
 * See PROTOCOL.md for what they mean.
 *
 * @module
 */
export { CAUSES, isCause, type Cause } from './causes.ts'
export {
  DEFAULT_DOCUMENT_LIMITS,
  formatConnectionDocument,
  parseConnectionDocument,
  type ConnectionDocument,
  type DocumentLimits,
  type GraceOverrides,
  type Status,
} from './connection-document.ts'
export {
  parseBrokerHeartbeat,
  parsePing,
  parseRollCall,
  type BrokerHeartbeat,
  type RollCall,
} from './broker-documents.ts'
export { formatDuration, parseDuration } from './duration.ts'
export { isJsonObject, jsonEqual, parseJson, type Json } from './json.ts'
export {
  parseMember,
  parseRoomDiff,
  parseRoomSnapshot,
  parseUserDocument,
  type Leave,
  type Member,
  type RoomDiff,
  type RoomSnapshot,
  type UserDocument,
} from './output-documents.ts'
export { failure, show, success, type Result } from './result.ts'
export { applyDiff, applySnapshot, type DiffOutcome, type RoomReplica } from './room-replica.ts'
export { formatTime, parseTime, type IsoTime } from './time.ts'
export {
  createTopics,
  escapeId,
  isValidId,
  MAX_ID_LENGTH,
  parseRoot,
  parseTopic,
  unescapeId,
  type ParsedTopic,
  type Topics,
} from './topics.ts'
