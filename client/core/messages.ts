import type { GraceOverrides, Json, Leave, Member, UserDocument } from '../../protocol/index.ts'

/*
 * Everything that crosses between a page and its engine. The engine has the connection and runs in a
 * dedicated worker, in a shared worker or in the page itself; the messages are the same.
 */

/** What the connection is doing. */
export type ConnectionStatus = 'connecting' | 'online' | 'reconnecting' | 'offline' | 'stopped'

/**
 * Why it is not online:
 * - `network`: the broker cannot be reached, or the connection broke;
 * - `token`: `getToken` failed, took too long, or gave a token that has expired. While it is online: the next
 *   token is due and could not be had yet;
 * - `refused`: the broker refused the user name, the token or the client id;
 * - `tries`: too many attempts in a row have failed;
 * - `left`: this page said so with `leave()`;
 * - `resting`: the page is unloading, or lies in the back/forward cache;
 * - `unsupported`: no worker could be started, nor could the page do it itself.
 */
export type Reason = 'network' | 'token' | 'refused' | 'tries' | 'left' | 'resting' | 'unsupported'

/** The connection as the page sees it. */
export interface ConnectionState {
  readonly state: ConnectionStatus
  readonly reason: Reason | null
  /** The reason in one sentence, for people who look for a mistake. */
  readonly message: string | null
  /** Attempts in a row that have failed. */
  readonly failed: number
  /** When it is tried again, in milliseconds since the epoch. */
  readonly retryAt: number | null
}

/** What decides about the connection: the same for every page that shares it. */
export interface SessionOptions {
  readonly url: string
  readonly user: string | null
  readonly root: string
  readonly keepaliveS: number
  readonly protocolVersion: 4 | 5
  /** Whether nobody speaks for the connection but itself. */
  readonly foreign: boolean
  readonly usesToken: boolean
  readonly connectTimeoutMs: number
  readonly tokenTimeoutMs: number
  readonly baseMs: number
  readonly capMs: number
  readonly maxTries: number
  /** How long members are kept that a server which has started anew does not know, in milliseconds. */
  readonly settleMs: number
  /** How long a hidden page is not yet away, in milliseconds; null for ever. */
  readonly awayHiddenMs: number | null
  /** How long a page that nobody touches is not yet away, in milliseconds; null for ever. */
  readonly awayIdleMs: number | null
  readonly grace: GraceOverrides | null
}

/** All that a page wants; sent whole, so that a lost engine is replaced by saying it again. */
export interface Wants {
  /** `auto`: away when nobody looks. */
  readonly status: 'auto' | 'online' | 'away'
  readonly data?: Json
  /** The rooms it is in, with its member data. */
  readonly rooms: Readonly<Record<string, Json>>
  /** The rooms whose members it looks at. */
  readonly watched: readonly string[]
  readonly users: readonly string[]
  readonly filters: readonly string[]
}

/** Page to engine. */
export type ToEngine =
  | {
      readonly type: 'open'
      readonly options: SessionOptions
      /** The Web Lock that the page holds as long as it lives. */
      readonly lock: string | null
      readonly wants: Wants
      readonly visible: boolean
      readonly network: boolean
    }
  | { readonly type: 'wants'; readonly wants: Wants }
  /** Somebody more listens to these: what is retained has to come again. */
  | { readonly type: 'again'; readonly filters: readonly string[] }
  /** Somebody looks at the page, or does not, or has just touched it. */
  | { readonly type: 'seen'; readonly visible: boolean }
  /** Acknowledged when the broker has it. */
  | {
      readonly type: 'publish'
      readonly id: number
      readonly topic: string
      readonly payload: string | Uint8Array
      readonly qos: 0 | 1
      readonly retain: boolean
    }
  | { readonly type: 'token'; readonly attempt: number; readonly token: string }
  | { readonly type: 'no-token'; readonly attempt: number; readonly message: string }
  | { readonly type: 'wake' }
  | { readonly type: 'network'; readonly up: boolean }
  | { readonly type: 'unload' }
  /** Out of the back/forward cache. */
  | { readonly type: 'return' }
  /** For good; acknowledged when it is done. */
  | { readonly type: 'leave'; readonly id: number }

/** What has changed in a room, or, with `members`, all of it. */
export interface RoomMessage {
  readonly type: 'room'
  readonly room: string
  readonly size: number
  readonly complete: boolean
  readonly fresh: boolean
  readonly members?: readonly Member[]
  readonly joined?: readonly Member[]
  readonly updated?: readonly Member[]
  readonly left?: readonly Departure[]
}

/** A user that left. What is only known by its absence after a reconnection has no reason. */
export type Departure = Pick<Leave, 'user'> & Partial<Leave>

/** Engine to page. */
export type FromEngine =
  /** The script runs. A shared worker names the Web Lock that it holds as long as it lives. */
  | { readonly type: 'ready'; readonly lock: string | null }
  | {
      readonly type: 'state'
      readonly state: ConnectionState
      /** By which the server knows this connection's unload hint. */
      readonly unloadKey: string | null
    }
  | { readonly type: 'ask-token'; readonly attempt: number }
  | RoomMessage
  | { readonly type: 'user'; readonly user: string; readonly document: UserDocument | null }
  | {
      readonly type: 'message'
      readonly filters: readonly string[]
      readonly topic: string
      readonly payload: Uint8Array
      readonly retain: boolean
    }
  | { readonly type: 'done'; readonly id: number; readonly error: string | null }
