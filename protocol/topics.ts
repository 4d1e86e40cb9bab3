import { failure, show, success, type Result } from './result.ts'

/** The longest user, client id or room, in UTF-16 code units. */
export const MAX_ID_LENGTH = 256

// `%` and what has a meaning in topics and filters, control characters, and the code points that
// MQTT lets a server refuse [MQTT-1.5.3-1, MQTT-1.5.4], which Mosquitto does by disconnecting.
// Everything else stays readable.
// oxlint-disable-next-line no-control-regex
const RESERVED = /[%/+#\u0000-\u001f\u007f-\u009f\p{Noncharacter_Code_Point}]/gu
const LONE_SURROGATE = /\p{Surrogate}/u

/** Whether a string can be a user, a client id or a room: 1 to 256 code units, well-formed Unicode. */
export function isValidId(id: string): boolean {
  return id.length > 0 && id.length <= MAX_ID_LENGTH && !LONE_SURROGATE.test(id)
}

/** Makes any id fit into one topic level. `a/b` becomes `a%2Fb`; 한국어 and spaces stay as they are. */
export function escapeId(id: string): string {
  return id.replace(RESERVED, encodeURIComponent)
}

/** The id that a topic level stands for, or undefined when it stands for none. */
export function unescapeId(level: string): string | undefined {
  if (!level.includes('%')) return isValidId(level) ? level : undefined
  try {
    const id = decodeURIComponent(level)
    return isValidId(id) ? id : undefined
  } catch {
    return undefined
  }
}

/** Checks a root for all topics: at least one level, no wildcards, no empty level, not below `$`. */
export function parseRoot(root: string): Result<string> {
  const fine =
    root.length > 0 &&
    root.length <= MAX_ID_LENGTH &&
    !root.startsWith('$') &&
    root.split('/').every((level) => level !== '' && escapeId(unescapeId(level) ?? '+') === level)
  return fine
    ? success(root)
    : failure(
        `expected a topic prefix such as presence or acme/presence (no wildcards, no empty level, % only as in %25, not below $), got ${show(root)}`,
      )
}

/** Every topic of the contract, below one root. Ids are given as they are; they are escaped here. */
export interface Topics {
  readonly root: string
  /** Retained: the user's document. */
  user(user: string): string
  /** Retained: plain `online` or `offline`. */
  userStatus(user: string): string
  /** Retained: the room's snapshot. */
  room(room: string): string
  /** Retained: one member of a room; empty when the user left. */
  member(room: string, user: string): string
  /** Retained: the room's size as a plain integer. */
  roomCount(room: string): string
  /** Not retained: what changed between two versions of a room. */
  roomEvents(room: string): string
  /** Retained: plain `online` or `offline`: whether presence is fresh. */
  readonly bridgeStatus: string
  /** Retained: one bridge's own `online` or `offline`. */
  bridge(bridge: string): string
  /** Retained: a bridge's stored state of one user, by which it finds its way back after a restart. */
  bridgeState(user: string): string
  /** Input: what a client, its will or its broker says of one connection. */
  connection(user: string, client: string): string
  /** Input: a bridge asks every broker and client to announce itself again. */
  readonly rollcall: string
  /** Input: a bridge asks every broker, and its own link, for a sign of life. */
  readonly ping: string
  /** Input: one broker's heartbeat. */
  broker(broker: string): string
}

/** Builds the topics below a root. */
export function createTopics(root = 'presence'): Topics {
  return {
    root,
    user: (user) => `${root}/users/${escapeId(user)}`,
    userStatus: (user) => `${root}/users/${escapeId(user)}/status`,
    room: (room) => `${root}/rooms/${escapeId(room)}`,
    member: (room, user) => `${root}/rooms/${escapeId(room)}/members/${escapeId(user)}`,
    roomCount: (room) => `${root}/rooms/${escapeId(room)}/count`,
    roomEvents: (room) => `${root}/rooms/${escapeId(room)}/events`,
    bridgeStatus: `${root}/bridge/status`,
    bridge: (bridge) => `${root}/bridges/${escapeId(bridge)}`,
    bridgeState: (user) => `${root}/bridge/state/${escapeId(user)}`,
    connection: (user, client) => `${root}/connections/${escapeId(user)}/${escapeId(client)}`,
    rollcall: `${root}/rollcall`,
    ping: `${root}/ping`,
    broker: (broker) => `${root}/brokers/${escapeId(broker)}`,
  }
}

/** What a topic below the root is about. */
export type ParsedTopic =
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'userStatus'; readonly user: string }
  | { readonly kind: 'room'; readonly room: string }
  | { readonly kind: 'member'; readonly room: string; readonly user: string }
  | { readonly kind: 'roomCount'; readonly room: string }
  | { readonly kind: 'roomEvents'; readonly room: string }
  | { readonly kind: 'bridgeStatus' }
  | { readonly kind: 'bridge'; readonly bridge: string }
  | { readonly kind: 'bridgeState'; readonly user: string }
  | { readonly kind: 'connection'; readonly user: string; readonly client: string }
  | { readonly kind: 'rollcall' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'broker'; readonly broker: string }

/** Reads a topic; undefined when it is not one of the contract's topics below this root. */
export function parseTopic(root: string, topic: string): ParsedTopic | undefined {
  if (!topic.startsWith(`${root}/`)) return undefined
  const levels = topic.slice(root.length + 1).split('/')
  const [head, first = '', second, third] = levels
  const id = unescapeId(first)
  switch (head) {
    case 'users':
      if (id === undefined) return undefined
      if (levels.length === 2) return { kind: 'user', user: id }
      return levels.length === 3 && second === 'status'
        ? { kind: 'userStatus', user: id }
        : undefined
    case 'rooms':
      return id === undefined ? undefined : parseRoomTopic(id, levels.length, second, third)
    case 'connections': {
      const client = unescapeId(second ?? '')
      if (levels.length !== 3 || id === undefined || client === undefined) return undefined
      return { kind: 'connection', user: id, client }
    }
    case 'bridge': {
      if (levels.length === 2 && first === 'status') return { kind: 'bridgeStatus' }
      const user = unescapeId(second ?? '')
      if (levels.length !== 3 || first !== 'state' || user === undefined) return undefined
      return { kind: 'bridgeState', user }
    }
    case 'bridges':
      return levels.length === 2 && id !== undefined ? { kind: 'bridge', bridge: id } : undefined
    case 'brokers':
      return levels.length === 2 && id !== undefined ? { kind: 'broker', broker: id } : undefined
    case 'rollcall':
      return levels.length === 1 ? { kind: 'rollcall' } : undefined
    case 'ping':
      return levels.length === 1 ? { kind: 'ping' } : undefined
    default:
      return undefined
  }
}

function parseRoomTopic(
  room: string,
  length: number,
  second: string | undefined,
  third: string | undefined,
): ParsedTopic | undefined {
  if (length === 2) return { kind: 'room', room }
  if (length === 3 && second === 'count') return { kind: 'roomCount', room }
  if (length === 3 && second === 'events') return { kind: 'roomEvents', room }
  const user = length === 4 && second === 'members' ? unescapeId(third ?? '') : undefined
  return user === undefined ? undefined : { kind: 'member', room, user }
}
