import type { Cause, GraceOverrides, Json } from '../../protocol/index.ts'

/**
 * What is known of one user. Plain JSON, so that any store can keep it; every time is in
 * milliseconds since the epoch, every deadline absolute.
 */
export interface UserState {
  readonly user: string
  /** Up, or ended and still held by a grace; in the order in which they were announced. */
  readonly connections: readonly ConnectionState[]
  /** Ids of network connections that are over for good, newest last; bounded. */
  readonly ended: readonly EndedConnection[]
  /** The rooms the user is a member of, and since when. */
  readonly memberships: readonly Membership[]
  /** When the user came online or went offline; 0 when it was never seen. */
  readonly since: number
  readonly lastSeen: number
  /** Why the user went offline; null while it is online, or was never seen. */
  readonly reason: Cause | null
  /** The number of connections that others are shown: unchanged while any is in grace. */
  readonly shownConnections: number
  /** Grows with every applied document; tells which of two connections spoke last. */
  readonly order: number
  /** The version of the user's document: grows whenever what others see of the user changes. */
  readonly version: number
  /** When an offline user is forgotten; null while it is online. */
  readonly forgetAt: number | null
}

/** What an input itself changes of a state; everything else follows from it. */
export type Change = Pick<UserState, 'connections' | 'ended' | 'order' | 'lastSeen'>

/** A user's time in one room. */
export interface Membership {
  readonly room: string
  readonly since: number
}

/** The id of a network connection that is over. */
export interface EndedConnection {
  readonly client: string
  readonly id: string
  readonly claim?: number
}

interface ConnectionBase {
  readonly id: string
  readonly client: string
  /** The broker of ours that announced it; null on a foreign broker. */
  readonly broker: string | null
  /** The number of the claim by which it has its client id, if our brokers are several. */
  readonly claim?: number
  readonly away: boolean
  readonly rooms: readonly RoomEntry[]
  /** Undefined until the client has given any. */
  readonly data: Json | undefined
  /** When `data` was given, in the user's order. */
  readonly dataOrder: number
  readonly seq: number
  readonly grace: GraceOverrides | null
  readonly lastSeen: number
}

/** A connection that is up. */
export interface UpConnection extends ConnectionBase {
  readonly status: 'up'
}

/** A connection that has ended, held until its deadlines. */
export interface GraceConnection extends ConnectionBase {
  readonly status: 'grace'
  readonly cause: Cause
  /** When it stops holding the user; its rooms have deadlines of their own. */
  readonly deadline: number
}

/** One connection of a user. */
export type ConnectionState = UpConnection | GraceConnection

/** A room that a connection is in. */
export interface RoomEntry {
  readonly room: string
  readonly data: Json
  /** When `data` was given, in the user's order. */
  readonly order: number
  /** When it stops holding the membership; null while the connection is up. */
  readonly deadline: number | null
}

/** The state of a user of whom nothing is known. */
export function createUserState(user: string): UserState {
  return {
    user,
    connections: [],
    ended: [],
    memberships: [],
    since: 0,
    lastSeen: 0,
    reason: null,
    shownConnections: 0,
    order: 0,
    version: 0,
    forgetAt: null,
  }
}

/** When the state next has to be looked at; null when time alone changes nothing. */
export function nextDeadline(state: UserState): number | null {
  let next = state.forgetAt
  for (const connection of state.connections) {
    if (connection.status === 'up') continue
    // Rooms that are held longer hold the connection too: until then its own deadline is nothing to look at.
    if (connection.rooms.length === 0) next = earlier(next, connection.deadline)
    for (const { deadline } of connection.rooms) next = earlier(next, deadline)
  }
  return next
}

function earlier(a: number | null, b: number | null): number | null {
  if (a === null) return b
  return b === null ? a : Math.min(a, b)
}
