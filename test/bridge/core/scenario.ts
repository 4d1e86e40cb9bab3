import fc from 'fast-check'
import { connectionKey, type Input } from '../../../bridge/core/index.ts'
import type { Cause, Json } from '../../../protocol/index.ts'
import { document, ended, online, START, unload } from './script.ts'

/** What somebody tries to do; what comes of it depends on what was before. */
interface Action {
  readonly kind: 'connect' | 'say' | 'end' | 'unload' | 'goodbye' | 'plain' | 'census' | 'shift'
  readonly client: number
  readonly waitMs: number
  readonly rooms: Readonly<Record<string, number>> | undefined
  readonly data: number | undefined
  readonly away: boolean
  readonly cause: Cause
  readonly seed: number
}

/** One user's clients do things at random. */
export const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'connect',
      'connect',
      'say',
      'say',
      'end',
      'end',
      'unload',
      'goodbye',
      'plain',
      'census',
      'shift',
    ),
    client: fc.nat(2),
    waitMs: fc.constantFrom(0, 0, 1, 900, 2000, 5000, 14_999, 60_000),
    rooms: fc.option(
      fc.dictionary(fc.constantFrom('lobby', 'attic', 'cellar'), fc.nat(2), { maxKeys: 3 }),
      { nil: undefined },
    ),
    data: fc.option(fc.nat(2), { nil: undefined }),
    away: fc.boolean(),
    cause: fc.constantFrom('left', 'closed', 'timeout', 'error', 'broker', 'kicked'),
    seed: fc.nat(1000),
  }),
  { minLength: 1, maxLength: 30 },
)

/** An input, and inputs that are stale at that moment. */
export interface Moment {
  readonly at: number
  readonly input: Input
  readonly stale: readonly Input[]
}

/** What others have to see when every grace is over. */
export interface Expected {
  readonly status: 'online' | 'away' | 'offline'
  readonly connections: number
  readonly data: Json
  readonly rooms: Readonly<Record<string, Json>>
}

interface Value {
  readonly value: Json
  readonly order: number
}

/** A client as a bystander knows it: no graces, no deadlines, no connections that are over. */
interface ModelClient {
  /** The current connection; '' is the one without an id. */
  id: string | undefined
  dead: string[]
  /** Ids that may have lapsed with a grace before they were replaced: nobody knows them any more. */
  lapsed: string[]
  up: boolean
  away: boolean
  broker: string | null
  seq: number
  rooms: Map<string, Value>
  data: Value | undefined
}

/** What a document of a client says. */
interface Said {
  readonly rooms?: Readonly<Record<string, number>> | undefined
  readonly data?: number | undefined
  readonly away?: boolean
}

/** Turns what somebody tries to do into inputs, and says what they have to come to. */
export function enact(list: readonly Action[]): {
  readonly moments: readonly Moment[]
  readonly expected: Expected
} {
  const clients = ['tab', 'phone', 'lamp'].map(newClient)
  const moments: Moment[] = []
  let at = START
  let ids = 0
  let order = 0

  function hear(client: ModelClient, said: Said): void {
    order++
    client.up = true
    client.away = said.away ?? false
    if (said.rooms) {
      const before = client.rooms
      client.rooms = new Map(
        Object.entries(said.rooms).map(([room, value]) => {
          const known = before.get(room)
          return [room, known?.value === value ? known : { value, order }]
        }),
      )
    }
    if (said.data !== undefined && said.data !== client.data?.value) {
      client.data = { value: said.data, order }
    }
  }

  function forgetConnection(client: ModelClient): void {
    const { id, up } = client
    if (id && !client.dead.includes(id)) (up ? client.dead : client.lapsed).push(id)
    client.rooms = new Map()
    client.data = undefined
    client.seq = 0
  }

  function act(action: Action, client: ModelClient, name: string): Input | undefined {
    const { kind, rooms, data, away, cause, seed } = action
    const { id } = client
    const isOver = id === undefined || client.dead.includes(id)
    const status = away ? 'away' : 'online'
    switch (kind) {
      case 'connect': {
        forgetConnection(client)
        client.id = `c${++ids}`
        client.broker = 'b1'
        hear(client, { rooms, data, away })
        const fields = {
          status,
          ...(rooms && { rooms }),
          ...(data !== undefined && { data }),
        } as const
        return online(name, client.id, fields)
      }
      case 'say': {
        if (isOver || id === '') return undefined
        // Who comes back from a grace says all there is, since it may have come too late; and says
        // something new, since whether it says it again depends on that too.
        const fresh = client.up ? {} : { rooms: { lobby: 1000 + at }, data: 1000 + at }
        const said = client.up ? { rooms, data, away } : { ...fresh, away }
        hear(client, said)
        client.broker = 'b1'
        const fields = {
          ...(said.rooms && { rooms: said.rooms }),
          ...(said.data !== undefined && { data: said.data }),
        }
        return online(name, id, { status, seq: ++client.seq, ...fields })
      }
      case 'end':
        if (isOver || id === '') return undefined
        client.up = false
        client.dead.push(id)
        return ended(name, id, cause)
      case 'unload':
        if (isOver || id === '') return undefined
        client.up = false
        return unload(name, id, { seq: ++client.seq })
      case 'goodbye':
        if (isOver || id === '') return undefined
        client.up = false
        return online(name, id, { status: 'offline', reason: 'left' })
      case 'plain':
        if (seed % 2 === 0) {
          client.up = false
          return document(name, { status: 'offline' })
        }
        if (isOver) {
          forgetConnection(client)
          client.id = ''
          client.broker = null
        } else if (!client.up && id !== '') {
          return undefined
        }
        hear(client, { away })
        return document(name, { status })
      case 'census': {
        const broker = seed % 3 === 0 ? null : 'b1'
        const alive = new Set<string>()
        clients.forEach((other, i) => {
          if (other.broker !== broker || !other.up) return
          if ((seed >> i) % 2 === 0) alive.add(connectionKey(other.name, other.id))
          else other.up = false
        })
        return { type: 'census', broker, alive }
      }
      case 'shift':
        return { type: 'shift', byMs: seed * 20 }
    }
  }

  function staleInputs(client: ModelClient, name: string): Input[] {
    const { id, seq, dead, lapsed, up } = client
    const late = dead.map((was) => online(name, was, { rooms: { attic: 77 }, data: 77 }))
    // An end after an end may shorten what is still held, unless the client is back.
    if (!up) return late
    const ends = [...dead, ...lapsed].flatMap((was) => [
      ended(name, was, 'kicked'),
      ended(name, was, 'left'),
    ])
    if (!id || seq === 0) return [...late, ...ends]
    const lower = { seq: seq - 1, rooms: { attic: 77 } }
    const before = [online(name, id, lower), online(name, id, { ...lower, status: 'offline' })]
    return [...late, ...ends, ...before]
  }

  for (const action of list) {
    at += action.waitMs
    const client = clients[action.client] ?? newClient('tab')
    const input = act(action, client, client.name)
    if (!input) continue
    const stale = clients.flatMap((other) => staleInputs(other, other.name))
    moments.push({ at, input, stale })
  }
  return { moments, expected: expectedOf(clients.filter(({ up }) => up)) }
}

function newClient(name: string): ModelClient & { readonly name: string } {
  return {
    name,
    id: undefined,
    dead: [],
    lapsed: [],
    up: false,
    away: false,
    broker: null,
    seq: 0,
    rooms: new Map(),
    data: undefined,
  }
}

function expectedOf(up: readonly ModelClient[]): Expected {
  const rooms = new Map<string, Value>()
  for (const client of up) {
    for (const [room, value] of client.rooms) {
      if (value.order > (rooms.get(room)?.order ?? -1)) rooms.set(room, value)
    }
  }
  const data = up.flatMap((client) => client.data ?? []).toSorted((a, b) => b.order - a.order)
  const isAway = up.every(({ away }) => away)
  return {
    status: up.length === 0 ? 'offline' : isAway ? 'away' : 'online',
    connections: up.length,
    data: data[0]?.value ?? null,
    rooms: Object.fromEntries(Array.from(rooms, ([room, { value }]) => [room, value])),
  }
}
