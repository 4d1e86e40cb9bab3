import { expect } from 'chai'
import {
  createUserState,
  nextDeadline,
  resolvePolicy,
  step,
  type Effect,
  type Input,
  type Policy,
  type UserState,
} from '../../../bridge/core/index.ts'
import type { ConnectionDocument, Json } from '../../../protocol/index.ts'

/** When every script begins. */
export const START = 1_700_000_000_000

/** What happens, in seconds after the start. */
export type Row = readonly [second: number, input: Input]

/** What a script came to. */
export interface Played {
  /** What others were told, a line for each effect: `5 user offline closed`. */
  readonly lines: readonly string[]
  readonly effects: readonly { readonly at: number; readonly effect: Effect }[]
  readonly state: UserState
}

/** How a script is played. */
export interface PlayOptions {
  readonly user?: string
  readonly policy?: Policy
  /** In seconds; a day: every grace is over then, and nobody is forgotten yet. */
  readonly until?: number
  /** Timers that should have fired between the rows fire after them. */
  readonly lateTimers?: boolean
}

const DEFAULT_POLICY = resolvePolicy()

/** Plays a script with timers that fire on time, and tells what was published when. */
export function play(rows: readonly Row[], options: PlayOptions = {}): Played {
  const { user = 'ann', policy = DEFAULT_POLICY, until = 86_400, lateTimers = false } = options
  const effects: { at: number; effect: Effect }[] = []
  const lines: string[] = []
  let state = createUserState(user)

  function take(input: Input, at: number): void {
    const [next, caused] = step(state, input, at, policy)
    for (const effect of caused) {
      effects.push({ at, effect })
      const line = tell(effect, next)
      if (line) lines.push(`${(at - START) / 1000} ${line}`)
    }
    state = next
  }

  function runTimers(to: number): void {
    let due = nextDeadline(state)
    for (; due !== null && due <= to; due = nextDeadline(state)) {
      const before = state
      take({ type: 'timer' }, due)
      if (effects.at(-1)?.effect.type === 'forget') return
      if (state === before) throw new Error(`a timer at ${(due - START) / 1000} changed nothing`)
    }
  }

  for (const [second, input] of rows) {
    const at = START + second * 1000
    if (!lateTimers) runTimers(at)
    take(input, at)
  }
  runTimers(START + until * 1000)
  return { lines, effects, state }
}

function tell(effect: Effect, state: UserState): string | undefined {
  switch (effect.type) {
    case 'user': {
      const { connections, reason, shownConnections } = state
      if (connections.length === 0) return `user offline ${reason}`
      const status = connections.every(({ away }) => away) ? 'away' : 'online'
      const newest = connections
        .filter(({ data }) => data !== undefined)
        .toSorted((a, b) => a.dataOrder - b.dataOrder)
        .at(-1)
      return `user ${status} ×${shownConnections}${suffix(newest?.data)}`
    }
    case 'member': {
      const { member, joined, room } = effect
      const away = member.status === 'away' ? ' away' : ''
      return `${room}: ${joined ? 'joined' : 'updated'}${away}${suffix(member.data)}`
    }
    case 'leave':
      return `${effect.room}: left ${effect.leave.reason}`
    case 'stale':
      return `stale ${effect.why}`
    case 'refused':
      return `refused at ${effect.connections}`
    case 'forget':
      return 'forgotten'
    case 'transition':
      return undefined
  }
}

function suffix(data: Json | undefined): string {
  return data === undefined || data === null ? '' : ` ${JSON.stringify(data)}`
}

/** Rooms without member data, or with. */
type Rooms = readonly string[] | Readonly<Record<string, Json>>

type Fields = Omit<Partial<ConnectionDocument>, 'rooms'> & { readonly rooms?: Rooms }

/** A document of a client. */
export function document(client: string, fields: Fields): Input {
  const { rooms, ...rest } = fields
  const named = rooms && { rooms: toMap(rooms) }
  return { type: 'document', client, document: { status: 'online', ...rest, ...named } }
}

function toMap(rooms: Rooms): ReadonlyMap<string, Json> {
  if (Array.isArray(rooms)) return new Map(rooms.map((room) => [room as string, null]))
  return new Map(Object.entries(rooms))
}

/** A client speaks: on our broker, which stamps its own id and the connection's. */
export function online(client: string, connection: string, fields: Fields = {}): Input {
  return document(client, { connection, broker: 'b1', ...fields })
}

/** A connection is over, as our broker says it. */
export function ended(
  client: string,
  connection: string,
  reason: ConnectionDocument['reason'] & string,
  fields: Fields = {},
): Input {
  return document(client, {
    status: 'offline',
    connection,
    broker: 'b1',
    reason,
    ended: true,
    ...fields,
  })
}

/** The hint of a page that is unloading. */
export function unload(client: string, connection: string, fields: Fields = {}): Input {
  return document(client, {
    status: 'offline',
    connection,
    broker: 'b1',
    reason: 'unload',
    ...fields,
  })
}

/** A fact, what happens, and everything that is published then. */
export interface Scripted extends PlayOptions {
  readonly fact: string
  readonly rows: readonly Row[]
  readonly lines: readonly string[]
}

/** One test for each script. */
export function itPlays(scripts: readonly Scripted[]): void {
  for (const { fact, rows, lines, ...options } of scripts) {
    it(fact, () => expect(play(rows, options).lines).to.deep.equal(lines))
  }
}
