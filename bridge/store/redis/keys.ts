/**
 * Into how many parts users and rooms are spread. Everything of one part lies in one slot of a Redis
 * Cluster, so that one script can change it in one act. Part of the stored format: never changed.
 */
const SHARDS = 64

/** The keys of what one part remembers. They go together, so that what is lost is not taken for remembered. */
export interface ActivityKeys {
  /** Stream of comings and goings. */
  readonly activity: string
  /** Since when everything goes into the stream, in milliseconds since the epoch. */
  readonly activityBegin: string
}

/** The keys of one part of the users. */
export interface UserKeys extends ActivityKeys {
  /** Hash: user → record. */
  readonly states: string
  /** Sorted set: users by deadline. */
  readonly deadlines: string
  /** Hash: who has yet to be published, and by which store. */
  readonly dirty: string
  /** Hash: what rooms have yet to be told. */
  readonly outbox: string
  /** Set of broker names; beside it a set of users for each broker. */
  readonly brokers: string
}

/** The keys of one part of the rooms. */
export interface RoomShardKeys extends ActivityKeys {
  /** Sorted set: rooms that have yet to be published, by the time of the mark. */
  readonly dirty: string
  /** Set of all rooms. */
  readonly rooms: string
  /** Sorted set: empty rooms, by the time since when. */
  readonly empty: string
  /** What the keys of a single room begin with; the part and the room follow. */
  readonly prefix: string
}

/** What is kept of one room, each under a key of its own. */
export const ROOM_PARTS = [
  'members',
  'changes',
  'leaves',
  'meta',
  'gone',
  'flights',
  'strays',
] as const

/** The keys of one room. */
export type RoomKeys = Readonly<Record<(typeof ROOM_PARTS)[number], string>> & RoomShardKeys

/** The names of every key. */
export interface Keys {
  user(user: string): UserKeys
  room(room: string): RoomKeys
  readonly users: readonly UserKeys[]
  readonly rooms: readonly RoomShardKeys[]
  /** What bridges tell each other: who hears, how they are called, who pauses the others, which data this is. */
  readonly beats: string
  readonly names: string
  readonly pause: string
  readonly incarnation: string
  /** Where it is said that the connections of a broker were ended. */
  lost(broker: string): string
}

/**
 * Names the keys below a prefix.
 *
 * @throws RangeError when the prefix would move the hash tag
 */
export function createKeys(prefix: string): Keys {
  if (!/^[^{}\s]+$/.test(prefix)) {
    throw new RangeError(`prefix: expected a word without { and }, got ${JSON.stringify(prefix)}`)
  }
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard)
  const users = shards.map((shard): UserKeys => {
    const tag = `${prefix}:{u${shard}}`
    return {
      states: `${tag}:states`,
      deadlines: `${tag}:deadlines`,
      dirty: `${tag}:dirty`,
      outbox: `${tag}:outbox`,
      activity: `${tag}:activity`,
      activityBegin: `${tag}:activity:begin`,
      brokers: `${tag}:brokers`,
    }
  })
  const rooms = shards.map((shard): RoomShardKeys => {
    const tag = `${prefix}:{r${shard}}`
    return {
      dirty: `${tag}:dirty`,
      rooms: `${tag}:rooms`,
      empty: `${tag}:empty`,
      activity: `${tag}:activity`,
      activityBegin: `${tag}:activity:begin`,
      prefix: `${tag}:`,
    }
  })
  const of = <T>(parts: readonly T[], name: string): T => parts[shardOf(name)] as T
  return {
    user: (user) => of(users, user),
    room(room) {
      const shard = of(rooms, room)
      const key = (part: string): string => `${shard.prefix}${part}:${room}`
      return {
        ...shard,
        members: key('members'),
        changes: key('changes'),
        leaves: key('leaves'),
        meta: key('meta'),
        gone: key('gone'),
        flights: key('flights'),
        strays: key('strays'),
      }
    },
    users,
    rooms,
    beats: `${prefix}:{bridges}:beats`,
    names: `${prefix}:{bridges}:names`,
    pause: `${prefix}:{bridges}:pause`,
    incarnation: `${prefix}:{bridges}:incarnation`,
    lost: (broker) => `${prefix}:{bridges}:lost:${broker}`,
  }
}

/** FNV-1a over UTF-16 code units. */
function shardOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  }
  return ((hash ^ (hash >>> 16)) >>> 0) % SHARDS
}
