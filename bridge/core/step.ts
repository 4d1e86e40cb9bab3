import type { Cause, ConnectionDocument } from '../../protocol/index.ts'
import {
  endConnection,
  hasAnswered,
  hasEnded,
  openConnection,
  rememberEnded,
  shiftConnection,
  updateConnection,
} from './connections.ts'
import { settle } from './settle.ts'
import type { Effect, Input } from './input.ts'
import type { Policy } from './policy.ts'
import { restore } from './restore.ts'
import type { ConnectionState, UserState } from './state.ts'

/**
 * The one transition function: what becomes of a user, and what there is to do about it.
 * Synchronous and total; an input that changes nothing returns the very same state.
 *
 * @param now milliseconds since the epoch; the only clock there is
 */
export function step(
  state: UserState,
  input: Input,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  switch (input.type) {
    case 'document':
      return input.document.status === 'offline'
        ? handleOffline(state, input.client, input.document, now, policy)
        : handlePresent(state, input.client, input.document, now, policy)
    case 'timer':
      return settle(state, state, now, policy)
    case 'census':
      return handleCensus(state, input.broker, input.alive, now, policy)
    case 'shift':
      return [
        { ...state, connections: state.connections.map((c) => shiftConnection(c, input.byMs)) },
        [],
      ]
    case 'restore':
      return [restore(state, input.shown, input.rooms, now, policy), []]
  }
}

function handlePresent(
  state: UserState,
  client: string,
  document: ConnectionDocument,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  const id = document.connection ?? currentOf(state, client)?.id ?? ''
  if (hasEnded(state.ended, client, id)) return [state, [{ type: 'stale', why: 'ended' }]]
  const existing = find(state, client, id)
  if (existing && isOutdated(existing, document))
    return [state, [{ type: 'stale', why: 'sequence' }]]
  if (!existing && state.connections.length >= policy.maxConnectionsPerUser) {
    return [state, [{ type: 'refused', connections: state.connections.length }]]
  }

  const order = state.order + 1
  const current = existing
    ? updateConnection(existing, document, order, now)
    : openConnection(id, client, document, order, now)
  const older = state.connections.filter((c) => c.client === client && c.id !== id)
  const others = state.connections.filter((c) => c.client !== client)
  // A client that comes back is one client, however many of its connections are still around.
  // Once it names its rooms that is the whole truth about it; until then the rooms of the
  // connection it replaces are held by their grace, so that a takeover is silent.
  const kept = document.rooms
    ? []
    : older.map((c) => (c.status === 'up' ? endConnection(c, 'closed', now, policy, now) : c))
  const next = {
    ...state,
    order,
    connections: [...others, ...kept, current],
    ended: rememberEnded(state.ended, older),
    lastSeen: now,
  }
  return settle(state, next, now, policy)
}

function handleOffline(
  state: UserState,
  client: string,
  document: ConnectionDocument,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  const cause = causeOf(document)
  const id = document.connection ?? currentOf(state, client)?.id
  const target = id === undefined ? undefined : find(state, client, id)
  const over = isOver(document, cause) && id !== undefined ? [{ client, id }] : []
  const ended = rememberEnded(state.ended, over)
  if (!target) {
    const why = id !== undefined && hasEnded(state.ended, client, id) ? 'ended' : 'unknown'
    const [next] = settle(state, ended === state.ended ? state : { ...state, ended }, now, policy)
    return [next, [{ type: 'stale', why }]]
  }
  if (isOutdated(target, document)) return [state, [{ type: 'stale', why: 'sequence' }]]

  const lastSeen = document.lastSeen ?? now
  const connections = state.connections.map((connection): ConnectionState => {
    if (connection === target) {
      const spoken = {
        ...connection,
        seq: document.seq ?? connection.seq,
        grace: document.grace ?? connection.grace,
      }
      return endConnection(spoken, cause, now, policy, lastSeen)
    }
    // A client that leaves takes the connections that it had before with it.
    const leaves = cause === 'left' && connection.client === client
    return leaves ? endConnection(connection, cause, now, policy, lastSeen) : connection
  })
  const next = { ...state, connections, ended, lastSeen: Math.max(state.lastSeen, lastSeen) }
  return settle(state, next, now, policy)
}

function handleCensus(
  state: UserState,
  broker: string | null,
  alive: ReadonlySet<string>,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  const isLost = (c: ConnectionState): boolean =>
    c.status === 'up' && c.broker === broker && !hasAnswered(alive, c)
  if (!state.connections.some(isLost)) return [state, []]
  // Its id is not remembered as ended: a broker that comes back may still have the connection.
  const connections = state.connections.map((c) =>
    isLost(c) ? endConnection(c, 'broker', now, policy, c.lastSeen) : c,
  )
  return settle(state, { ...state, connections }, now, policy)
}

/** The connection of a client that was announced last. */
function currentOf(state: UserState, client: string): ConnectionState | undefined {
  return state.connections.findLast((c) => c.client === client)
}

function find(state: UserState, client: string, id: string): ConnectionState | undefined {
  return state.connections.find((c) => c.id === id && c.client === client)
}

function isOutdated(connection: ConnectionState, document: ConnectionDocument): boolean {
  return document.seq !== undefined && document.seq < connection.seq
}

/** Only our own brokers are believed when they say how a connection ended; from a client, what it may say. */
function causeOf({ reason = 'closed', broker }: ConnectionDocument): Cause {
  if (broker !== undefined || reason === 'left' || reason === 'unload') return reason
  return 'closed'
}

/**
 * Whether an end is for good. Our brokers say so. Elsewhere a document that names its connection
 * and does not merely hint is the last of it, which is what makes a late will harmless.
 */
function isOver(document: ConnectionDocument, cause: Cause): boolean {
  if (document.broker !== undefined) return document.ended === true
  return document.connection !== undefined && cause !== 'unload'
}
