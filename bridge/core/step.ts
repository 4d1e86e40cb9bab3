import type { Cause, ConnectionDocument } from '../../protocol/index.ts'
import {
  claimOf,
  endConnection,
  hasAnswered,
  hasEnded,
  heardAt,
  isOlder,
  isRepetition,
  isReplaced,
  openConnection,
  rememberEnded,
  shiftConnection,
  updateConnection,
} from './connections.ts'
import { settle } from './settle.ts'
import type { DocumentInput, Effect, Input } from './input.ts'
import type { Policy } from './policy.ts'
import { endStandIn, explainStandIn, restore } from './restore.ts'
import type { Change, ConnectionState, UserState } from './state.ts'

/** Connections in grace take no place from others, so that a refresh at the limit is silent; up to here. */
const MAX_IN_GRACE = 100

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
        : handlePresent(state, input, now, policy)
    case 'timer':
      return settle(state, changeOf(state), now, policy)
    case 'census':
      return handleCensus(state, input.broker, input.alive, now, policy)
    case 'shift':
      return [shift(state, input.byMs), []]
    case 'announced': {
      const connections = endStandIn(state.connections, now)
      if (connections === state.connections) return [state, []]
      return settle(state, { ...changeOf(state), connections }, now, policy)
    }
    case 'restore':
      return [restore(state, input.shown, input.rooms, now, policy), []]
  }
}

function handlePresent(
  state: UserState,
  { client, document, countUntil = Infinity }: DocumentInput,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  const id = document.connection ?? idOfUnnamed(state, client)
  if (hasEnded(state.ended, client, id)) return [state, [{ type: 'stale', why: 'ended' }]]
  const known = [...state.connections, ...state.ended]
  if (isReplaced(claimOf(document), client, known))
    return [state, [{ type: 'stale', why: 'older' }]]
  const existing = find(state, client, id)
  if (existing && isOutdated(existing, document))
    return [state, [{ type: 'stale', why: 'sequence' }]]
  const isRepeated = isRepetition(document)
  const [others, older] = withoutConnection(state.connections, client, id)
  // Claims tell which one is the later, if both have one: while Redis is away brokers give none.
  const isClaimed = document.claim !== undefined && older.every(({ claim }) => claim !== undefined)
  const isUnsure = isRepeated && !isClaimed
  if (isUnsure && existing?.status !== 'up' && older.some((c) => isOlder(document, c))) {
    return [state, [{ type: 'stale', why: 'older' }]]
  }
  if (!existing && isFull(others, policy.maxConnectionsPerUser)) {
    return [state, [{ type: 'refused', connections: others.length }]]
  }

  const order = state.order + 1
  const heard = heardAt(document, now)
  const current = existing
    ? updateConnection(existing, document, order, heard)
    : openConnection(id, client, document, order, heard)
  // A client that comes back is one client, however many of its connections are still around.
  // Once it names its rooms that is the whole truth about it; until then the rooms of the
  // connection it replaces are held by their grace, so that a takeover is silent.
  const kept = document.rooms
    ? []
    : older.map((c) =>
        c.status === 'up' ? endConnection(c, { cause: 'closed', lastSeen: now }, now, policy) : c,
      )
  const change = {
    connections: [...others, ...kept, current],
    // From times of two clocks nothing follows for good: what the client says next over any of them counts.
    ended: isUnsure ? state.ended : rememberEnded(state.ended, older),
    order,
    lastSeen: Math.max(state.lastSeen, heard),
  }
  return settle(state, change, now, policy, Math.min(now, countUntil))
}

function handleOffline(
  state: UserState,
  client: string,
  document: ConnectionDocument,
  now: number,
  policy: Policy,
): readonly [UserState, readonly Effect[]] {
  const cause = causeOf(document)
  const target = currentOf(state, client)
  const id = document.connection ?? target?.id
  const over =
    isOver(document, cause) && id !== undefined ? [{ client, id, ...claimOf(document) }] : []
  const ended = rememberEnded(state.ended, over)
  if (!target || target.id !== id) {
    // Late news of a connection that is over, or that its client has replaced by another.
    const why = id !== undefined && hasEnded(state.ended, client, id) ? 'ended' : 'unknown'
    const connections =
      why === 'unknown'
        ? explainStandIn(state.connections, cause, heardAt(document, now))
        : state.connections
    const [next, effects] = settle(state, { ...changeOf(state), connections, ended }, now, policy)
    return [next, [...effects, { type: 'stale', why }]]
  }
  if (isOutdated(target, document)) return [state, [{ type: 'stale', why: 'sequence' }]]

  const lastSeen = heardAt(document, now)
  // What is still held of connections that this one replaced is not held longer than this one.
  const { seq, grace } = document
  const connections = state.connections.map((c) => {
    if (c.client !== client) return c
    const end = c === target ? { cause, lastSeen, seq, grace } : { cause, lastSeen }
    return endConnection(c, end, now, policy)
  })
  const { order } = state
  const change = { connections, ended, order, lastSeen: Math.max(state.lastSeen, lastSeen) }
  return settle(state, change, now, policy)
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
    isLost(c) ? endConnection(c, { cause: 'broker', lastSeen: c.lastSeen }, now, policy) : c,
  )
  return settle(state, { ...changeOf(state), connections }, now, policy)
}

/** The change that is none. */
function changeOf({ connections, ended, order, lastSeen }: UserState): Change {
  return { connections, ended, order, lastSeen }
}

/** The connections of other clients, and the other connections of this one. */
function withoutConnection(
  connections: readonly ConnectionState[],
  client: string,
  id: string,
): readonly [others: readonly ConnectionState[], older: readonly ConnectionState[]] {
  const others: ConnectionState[] = []
  const older: ConnectionState[] = []
  for (const connection of connections) {
    if (connection.client !== client) others.push(connection)
    else if (connection.id !== id) older.push(connection)
  }
  return [others, older]
}

function shift(state: UserState, byMs: number): UserState {
  if (state.connections.every(({ status }) => status === 'up')) return state
  return { ...state, connections: state.connections.map((c) => shiftConnection(c, byMs)) }
}

function isFull(others: readonly ConnectionState[], max: number): boolean {
  if (others.length < max) return false
  return (
    others.length >= max + MAX_IN_GRACE ||
    others.filter(({ status }) => status === 'up').length >= max
  )
}

/** A document that names no connection speaks for the client's current one, or makes one if that is over. */
function idOfUnnamed(state: UserState, client: string): string {
  const current = currentOf(state, client)
  return current && !hasEnded(state.ended, client, current.id) ? current.id : ''
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
