import type {
  Cause,
  ConnectionDocument,
  Leave,
  Member,
  UserDocument,
} from '../../protocol/index.ts'

/** A connection document arrived for one of the user's clients. */
export interface DocumentInput {
  readonly type: 'document'
  readonly client: string
  readonly document: ConnectionDocument
  /** Deadlines after this time do not count yet, since arrivals may be on their way. @default all count */
  readonly countUntil?: number
}

/** What can happen to a user. */
export type Input =
  | DocumentInput
  /** A deadline may have passed. */
  | { readonly type: 'timer' }
  /**
   * What was not announced is lost: every connection of this broker (null: of no broker of ours)
   * that is up and not among the living, which are given by their `connectionKey`.
   */
  | { readonly type: 'census'; readonly broker: string | null; readonly alive: ReadonlySet<string> }
  /** The observer was deaf for this long: what it would have heard must not be held against anybody. */
  | { readonly type: 'shift'; readonly byMs: number }
  /** Whoever is there has announced itself since the state was lost. */
  | { readonly type: 'announced' }
  /** The state is lost, but this is what others were last shown. */
  | {
      readonly type: 'restore'
      readonly shown: UserDocument
      readonly rooms: readonly { readonly room: string; readonly member: Member }[]
    }

/** Why a document changed nothing. */
type StaleReason =
  /** Its connection is over. */
  | 'ended'
  /** It repeats a connection that its client has replaced since. */
  | 'older'
  /** A later document of the same connection was here first. */
  | 'sequence'
  /** It ends a connection that was never announced. */
  | 'unknown'

/** What the shell has to do after a step. */
export type Effect =
  /** The user's document changed: publish it. */
  | { readonly type: 'user' }
  /** The user joined the room, or what the room sees of it changed. */
  | {
      readonly type: 'member'
      readonly room: string
      readonly member: Member
      readonly joined: boolean
    }
  /** The user left the room. */
  | { readonly type: 'leave'; readonly room: string; readonly leave: Leave }
  /** The user came online, or went offline, after this long in the other state. */
  | {
      readonly type: 'transition'
      readonly to: 'online' | 'offline'
      readonly cause: Cause | null
      readonly at: number
      readonly since: number
    }
  /** The offline user's time is up: clear its topics and its state. */
  | { readonly type: 'forget' }
  /** The document was dropped: count it. */
  | { readonly type: 'stale'; readonly why: StaleReason }
  /** The user has too many connections: count and log it. */
  | { readonly type: 'refused'; readonly connections: number }
