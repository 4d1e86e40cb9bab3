import { randomUUID } from 'node:crypto'
import type { Program } from '../../helpers/process.ts'
import type { Random } from '../../helpers/random.ts'
import type { RemoteClient } from '../../helpers/remote-clients.ts'
import { WAYS } from '../ways.ts'
import { limit, MARGIN_MS, type Claim, type Claims } from './claims.ts'
import type { Host } from './host.ts'

/** How long presence is held in the soak, in milliseconds, and the keepalive of everybody in seconds. */
export const GRACE = { closed: 1500, timeout: 1500, unload: 1000 } as const
const KEEPALIVE = 3

export const ROOMS: readonly string[] = ['lobby', 'den', 'attic', 'cellar']

const MAX_CONNECTIONS = 3

/** What the soak is made of. */
export interface World {
  readonly server: Program
  readonly hosts: readonly Host[]
  readonly claims: Claims
  /** What must not have happened. */
  readonly faults: string[]
  /** How often what was done. */
  readonly counts: Map<string, number>
}

/** A connection of a person, as it should be. */
interface Slot {
  readonly clientId: string
  readonly client: RemoteClient
  readonly host: Host
  /** That the user is there, and is in the rooms. */
  readonly here: Claim[]
  readonly rooms: Map<string, readonly Claim[]>
  /** The last document's number, which is the data of the user and of each member. */
  data: number | null
}

/** What should be shown of a person when the dust has settled. */
export interface Truth {
  readonly connections: number
  readonly data: number | null
  /** The data by room. */
  readonly rooms: ReadonlyMap<string, number>
}

/** Somebody who comes and goes at random, and the model of what others should see of it. */
export class Person {
  readonly user: string
  readonly #world: World
  readonly #random: Random
  readonly #up = new Set<Slot>()
  /** Connections that are over, whose graces may still run. */
  #remains: Slot[] = []
  #documents = 0

  constructor(user: string, world: World, random: Random) {
    this.user = user
    this.#world = world
    this.#random = random
  }

  /** Does one thing. */
  async act(): Promise<void> {
    const random = this.#random
    const slot = this.#up.size > 0 ? random.pick([...this.#up]) : undefined
    if (!slot) return this.#do('connect', () => this.#arrive(randomUUID()))
    if (!slot.host.isOpen) return
    const more = this.#up.size < MAX_CONNECTIONS
    const act = random.pick([
      'move',
      'move',
      'move',
      'takeover',
      'reconnect',
      'refresh',
      'unload and refresh',
      'unload and return',
      'leave',
      'cut',
      ...(more ? (['connect', 'connect', 'connect'] as const) : []),
    ] as const)
    await this.#do(act, async () => {
      switch (act) {
        case 'connect':
          return this.#arrive(randomUUID())
        case 'move':
          return this.#say(slot, this.#chooseRooms())
        case 'takeover':
          return this.#arrive(slot.clientId, [...slot.rooms.keys()])
        case 'reconnect':
          await this.#cut(slot)
          await this.#wait(GRACE.closed / 2)
          return this.#arrive(slot.clientId, [...slot.rooms.keys()])
        case 'refresh':
          await this.#cut(slot)
          return this.#arrive(randomUUID(), [...slot.rooms.keys()])
        case 'unload and refresh':
          await this.#unload(slot)
          await this.#cut(slot)
          return this.#arrive(randomUUID(), [...slot.rooms.keys()])
        case 'unload and return':
          await this.#unload(slot)
          await this.#wait(GRACE.unload / 2)
          return this.#say(slot, [...slot.rooms.keys()])
        case 'leave':
          return this.#leave(slot)
        case 'cut':
          return this.#cut(slot)
      }
    })
  }

  /** Its host is about to be stopped for so long. */
  freeze(host: Host, ms: number): void {
    // Who is silent for no longer than half the time it may be silent has been heard often enough.
    if (ms < 750 * KEEPALIVE) return
    const now = performance.now()
    for (const slot of this.#on(host)) limit(claimsOf(slot), now + GRACE.timeout)
  }

  /** Its host runs again; finds out which connections have survived. */
  async thaw(host: Host, ms: number): Promise<void> {
    for (const slot of this.#on(host)) {
      const survived = await this.#confirm(slot)
      if (survived) continue
      if (ms < 750 * KEEPALIVE) this.#fault(`a short freeze cost ${slot.clientId} its connection`)
      this.#end(slot)
    }
  }

  /** Its host is about to be killed. */
  lose(host: Host): void {
    const now = performance.now()
    for (const slot of this.#on(host)) {
      limit(claimsOf(slot), now + GRACE.closed)
      this.#end(slot)
    }
  }

  /** What should be shown. */
  truth(): Truth {
    const rooms = new Map<string, number>()
    let data: number | null = null
    for (const slot of this.#up) {
      if (slot.data === null) continue
      data = Math.max(data ?? 0, slot.data)
      for (const room of slot.rooms.keys()) {
        rooms.set(room, Math.max(rooms.get(room) ?? 0, slot.data))
      }
    }
    return { connections: this.#up.size, data, rooms }
  }

  /** Looks for connections that the server has ended without a reason. */
  inspect(): void {
    for (const { client, clientId } of this.#up) {
      if (client.isClosed) this.#fault(`the server dropped ${clientId}`)
    }
  }

  async #arrive(clientId: string, rooms: readonly string[] = this.#chooseRooms()): Promise<void> {
    const { hosts, server } = this.#world
    const host = this.#random.pick(hosts)
    if (!host.isOpen) return
    await host.tell(async (process) => {
      const before = [...this.#up].filter((slot) => slot.clientId === clientId)
      const started = performance.now()
      const way = this.#random.pick(WAYS)
      for (const slot of before) {
        limit(claimsOf(slot), started + GRACE.closed)
        this.#end(slot)
      }
      const { user } = this
      const options = { ...way, user, clientId, keepalive: KEEPALIVE }
      const client = await process.connect(server, options)
      const here = [this.#world.claims.add(this.user, performance.now())]
      const slot: Slot = { clientId, client, host, here, rooms: new Map(), data: null }
      this.#up.add(slot)
      await this.#sayNow(slot, rooms)
    })
  }

  #say(slot: Slot, rooms: readonly string[]): Promise<void> {
    return this.#tell(slot, () => this.#sayNow(slot, rooms))
  }

  /** Says which rooms it is in: the whole truth about this client from then on. */
  async #sayNow(slot: Slot, rooms: readonly string[]): Promise<void> {
    const data = ++this.#documents
    const before = performance.now()
    const older = this.#remains.filter(({ clientId }) => clientId === slot.clientId)
    for (const { rooms: held } of [slot, ...older]) {
      for (const [room, claims] of held) if (!rooms.includes(room)) limit(claims, before)
    }
    const places = Object.fromEntries(rooms.map((room) => [room, data]))
    await slot.client.say({ status: 'online', rooms: places, data })
    slot.data = data
    this.#hold(slot, rooms)
    // What its client had before is over; the claims overlap, so that they are one.
    for (const each of older) limit(claimsOf(each), performance.now() + 2 * MARGIN_MS)
  }

  /** From now on the slot claims the user and these rooms, where it does not already. */
  #hold(slot: Slot, rooms: readonly string[]): void {
    const now = performance.now()
    if (slot.here.every(isLimited)) slot.here.push(this.#world.claims.add(this.user, now))
    const held = new Map(slot.rooms)
    slot.rooms.clear()
    for (const room of rooms) {
      const claims = held.get(room) ?? []
      const isHeld = claims.some((claim) => !isLimited(claim))
      const more = isHeld ? [] : [this.#world.claims.add(`${this.user} ${room}`, now)]
      slot.rooms.set(room, [...claims, ...more])
    }
  }

  async #confirm(slot: Slot): Promise<boolean> {
    const { client, data } = slot
    const rooms = [...slot.rooms.keys()]
    const places = Object.fromEntries(rooms.map((room) => [room, data]))
    const survived = await client.say({ status: 'online', rooms: places, data }).then(
      () => true,
      () => false,
    )
    if (survived) this.#hold(slot, rooms)
    return survived
  }

  async #unload(slot: Slot): Promise<void> {
    await this.#tell(slot, async () => {
      limit(claimsOf(slot), performance.now() + GRACE.unload)
      await slot.client.say({ status: 'offline', reason: 'unload' })
    })
  }

  async #cut(slot: Slot): Promise<void> {
    await this.#tell(slot, async () => {
      limit(claimsOf(slot), performance.now() + GRACE.closed)
      this.#end(slot)
      await slot.client.cut()
    })
  }

  async #leave(slot: Slot): Promise<void> {
    await this.#tell(slot, async () => {
      // It takes with it what its client had before.
      const own = this.#remains.filter(({ clientId }) => clientId === slot.clientId)
      for (const each of [slot, ...own]) limit(claimsOf(each), performance.now())
      this.#end(slot)
      await slot.client.leave()
    })
  }

  /** Tells a connection something, unless it has ended by the time it can be told. */
  async #tell(slot: Slot, run: () => Promise<void>): Promise<void> {
    await slot.host.tell(async () => {
      if (this.#up.has(slot)) await run()
    })
  }

  #end(slot: Slot): void {
    this.#up.delete(slot)
    const now = performance.now()
    this.#remains = [...this.#remains.filter((s) => s.here.some((c) => c.until > now)), slot]
  }

  #on(host: Host): Slot[] {
    return [...this.#up].filter((slot) => slot.host === host)
  }

  #chooseRooms(): string[] {
    return ROOMS.filter(() => this.#random.chance(0.4))
  }

  async #wait(atMostMs: number): Promise<void> {
    const ms = this.#random.below(atMostMs)
    await new Promise((resolve) => setTimeout(resolve, ms))
  }

  async #do(name: string, run: () => Promise<void>): Promise<void> {
    const { counts } = this.#world
    counts.set(name, (counts.get(name) ?? 0) + 1)
    try {
      await run()
    } catch (error) {
      this.#fault(`${name} failed: ${String(error)}`)
    }
  }

  #fault(what: string): void {
    this.#world.faults.push(`${Math.round(performance.now())} ${this.user}: ${what}`)
  }
}

function claimsOf({ here, rooms }: Slot): Claim[] {
  return [...here, ...[...rooms.values()].flat()]
}

function isLimited({ until }: Claim): boolean {
  return until < Number.POSITIVE_INFINITY
}
