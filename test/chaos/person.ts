import { randomUUID } from 'node:crypto'
import type { Random } from '../helpers/random.ts'
import type { RemoteClient } from '../helpers/remote-clients.ts'
import { KEEPALIVE_S } from './bounds.ts'
import type { Diary, OpenLife } from './diary.ts'
import { comeHalfOpen, documentOf } from './half-open.ts'
import type { Ending } from './history.ts'
import type { Act, Blow, Manner } from './plan.ts'
import type { Worker } from './worker.ts'

/** A client of a person that is up, as far as it knows. */
interface Device {
  readonly life: OpenLife
  readonly client: RemoteClient
  readonly worker: Worker
  rooms: readonly string[] | null
}

/** How often somebody who was thrown out tries to come back, and how long it waits in between, in milliseconds. */
const TRIES = 8
const RETRY_MS = 700

/** What a person is made of. */
export interface PersonOptions {
  readonly user: string
  readonly diary: Diary
  readonly random: Random
  /** The worker of each of its clients. */
  readonly workers: readonly Worker[]
  readonly brokers: number
}

/** A user with some clients; it does one thing after the other, and writes down what it did. */
export class Person {
  readonly user: string
  readonly #options: PersonOptions
  readonly #devices = new Map<number, Device>()
  #queue: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #isOver = false

  constructor(options: PersonOptions) {
    this.user = options.user
    this.#options = options
  }

  /** Whether it has nothing left to do. */
  get isIdle(): boolean {
    return this.#waiting === 0
  }

  /** Does something when everything before is done. */
  act(act: Act, slot: number, manner: Manner): void {
    this.#enqueue(() => this.#act(act, slot, manner))
  }

  /** From now on nobody comes back by itself who was thrown out. */
  stop(): void {
    this.#isOver = true
  }

  /** Its connections on a worker fall silent, or are gone. */
  onBlow(worker: Worker, blow: Blow, at: number): void {
    for (const [slot, device] of this.#devices) {
      if (device.worker !== worker || blow !== 'kill') continue
      this.#end(slot, device, 'closed', at, performance.now())
      this.#comeBack(slot, device)
    }
  }

  /** Finds out which connections have survived. */
  async onBack(worker: Worker, from: number): Promise<void> {
    const mine = [...this.#devices].filter(([, device]) => device.worker === worker)
    await Promise.all(
      mine.map(async ([slot, device]) => {
        if (this.#devices.get(slot) !== device) return
        if (!device.client.isClosed && (await this.#isAlive(device))) return
        // Nobody has answered: it may still be there.
        await worker.tell(() => device.client.cut()).catch(() => {})
        if (this.#devices.get(slot) !== device) return
        this.#end(slot, device, 'silent', from, performance.now())
        this.#comeBack(slot, device)
      }),
    )
  }

  #enqueue(run: () => Promise<void>): void {
    this.#waiting++
    this.#queue = this.#queue
      .then(run)
      .catch((error: unknown) => this.#note(`failed: ${String(error)}`))
      .finally(() => this.#waiting--)
  }

  async #act(act: Act, slot: number, manner: Manner): Promise<void> {
    const device = this.#devices.get(slot)
    await (device?.worker ?? this.#workerOf(slot)).opened()
    if (act === 'half-open') {
      const { diary, random, workers } = this.#options
      const address = this.#workerOf(random.below(workers.length)).address(manner.broker)
      return comeHalfOpen(this.user, address, manner, diary)
    }
    if (!device || this.#devices.get(slot) !== device) {
      if (this.#devices.has(slot)) return
      this.#options.diary.count('connect')
      return this.#connect(slot, randomUUID(), manner)
    }
    this.#options.diary.count(act)
    switch (act) {
      case 'say':
        return this.#say(device, manner.rooms ?? [])
      case 'refresh':
        await this.#cut(slot, device)
        await pause(manner.pauseMs)
        return this.#connect(slot, randomUUID(), { ...manner, rooms: device.rooms })
      case 'return':
        await this.#cut(slot, device)
        await pause(manner.pauseMs)
        return this.#connect(slot, device.life.client, { ...manner, rooms: device.rooms })
      case 'take over':
        return this.#connect(slot, device.life.client, { ...manner, rooms: device.rooms })
      case 'leave':
        return this.#leave(slot, device)
      case 'say goodbye':
        return this.#sayGoodbye(slot, device, manner)
      case 'die':
        return this.#cut(slot, device)
    }
  }

  /** Connects, in place of what is in the slot if there is anything. Tells whether it is up. */
  async #connect(slot: number, clientId: string, manner: Manner): Promise<void> {
    const { user } = this
    const { diary } = this.#options
    const worker = this.#workerOf(slot)
    const { broker, version, transport, rooms } = manner
    await worker.opened()
    const before = this.#devices.get(slot)
    const askedAt = performance.now()
    const life = diary.begin({ user, client: clientId, broker, askedAt })
    this.#note(`connects ${short(clientId)} to broker ${broker}`)
    const options = { user, clientId, version, transport, keepalive: KEEPALIVE_S }
    let client: RemoteClient
    try {
      client = await worker.tell((process) => process.connect(worker.address(broker), options))
    } catch (error) {
      const now = performance.now()
      life.end = { how: 'closed', from: now, until: now }
      this.#note(`cannot connect ${short(clientId)}: ${String(error)}`)
      return
    }
    life.upAt = performance.now()
    this.#note(`${short(clientId)} is up`)
    if (before && this.#devices.get(slot) === before) {
      this.#end(slot, before, 'replaced', askedAt, life.upAt)
    }
    const device: Device = { life, client, worker, rooms: null }
    this.#devices.set(slot, device)
    const onClosed = (): Promise<void> => this.#onClosed(slot, device, performance.now())
    client.closed.then(onClosed).catch(() => {})
    if (rooms) await this.#say(device, rooms)
  }

  async #say(device: Device, rooms: readonly string[]): Promise<void> {
    const { life, client, worker } = device
    await worker.opened()
    const number = this.#options.diary.nextNumber()
    const said = { number, rooms, at: performance.now(), ackedAt: null as number | null }
    life.said.push(said)
    device.rooms = rooms
    this.#note(`${short(life.client)} says ${number}: ${rooms.join(' ')}`)
    try {
      await worker.tell(() => client.say(documentOf(number, rooms)))
      said.ackedAt = performance.now()
      this.#note(`${number} is acknowledged`)
    } catch (error) {
      this.#note(`${number} is not acknowledged: ${String(error)}`)
    }
  }

  /** Whether the connection is still there when its worker can be told something. */
  async #isStillThere(slot: number, device: Device): Promise<boolean> {
    await device.worker.opened()
    return this.#devices.get(slot) === device
  }

  async #cut(slot: number, device: Device): Promise<void> {
    if (!(await this.#isStillThere(slot, device))) return
    const from = performance.now()
    this.#devices.delete(slot)
    await device.worker.tell(() => device.client.cut()).catch(() => {})
    this.#end(slot, device, 'closed', from, performance.now())
  }

  async #leave(slot: number, device: Device): Promise<void> {
    if (!(await this.#isStillThere(slot, device))) return
    const from = performance.now()
    this.#devices.delete(slot)
    const wasClosed = device.client.isClosed
    const how = await device.worker
      .tell(() => device.client.leave())
      .then(
        (): Ending => (wasClosed ? 'unsure' : 'left'),
        (): Ending => 'unsure',
      )
    this.#end(slot, device, how, from, performance.now())
  }

  async #sayGoodbye(slot: number, device: Device, { pauseMs }: Manner): Promise<void> {
    if (!(await this.#isStillThere(slot, device))) return
    const from = performance.now()
    const { client, worker } = device
    this.#devices.delete(slot)
    const goodbye = pauseMs < 600 ? '' : { status: 'offline', reason: 'left' }
    const how = await worker
      .tell(() => client.say(goodbye))
      .then(
        (): Ending => 'left',
        (): Ending => 'unsure',
      )
    const until = performance.now()
    this.#end(slot, device, how, from, until)
    await worker.tell(() => client.cut()).catch(() => {})
    if (how === 'unsure') device.life.end = { how, from, until: performance.now() }
  }

  /** Somebody else has closed the connection, or its own keepalive. */
  async #onClosed(slot: number, device: Device, at: number): Promise<void> {
    const { life, worker } = device
    const wasStruck = !worker.isOpen
    // While its worker is frozen or unplugged, and until its connections have been looked at, `onBack` decides.
    await worker.opened()
    if (this.#devices.get(slot) !== device) return
    this.#note(`${short(life.client)} finds itself closed`)
    // One of those that came up so late that `onBack` did not know it: it may have been silent ever since.
    if (wasStruck) this.#end(slot, device, 'silent', life.askedAt, at)
    else this.#end(slot, device, 'lost', at, at)
    this.#comeBack(slot, device)
  }

  /** Comes back as most do: with the same client id or a new one, to the same broker or another one. */
  #comeBack(slot: number, { life, rooms }: Device): void {
    const { random, brokers } = this.#options
    const stays = random.chance(0.2)
    const client = random.chance(0.65) ? life.client : randomUUID()
    const first = random.chance(0.5) ? life.broker : random.below(brokers)
    const version = random.pick(['3.1.1', '5'] as const)
    const transport = random.pick(['tcp', 'websocket'] as const)
    const firstMs = random.below(800)
    if (stays || this.#isOver) return
    this.#enqueue(async () => {
      for (let i = 0; i < TRIES; i++) {
        await pause(i === 0 ? firstMs : RETRY_MS)
        await this.#workerOf(slot).opened()
        if (this.#devices.has(slot)) return
        const broker = (first + i) % brokers
        await this.#connect(slot, client, { broker, version, transport, rooms, pauseMs: 0 })
      }
    })
  }

  /** Says once more what it has said; an acknowledgement means that the connection has been there all the time. */
  async #isAlive({ life, client, worker }: Device): Promise<boolean> {
    const last = life.said.at(-1)
    const document = last ? documentOf(last.number, last.rooms) : { status: 'online' }
    const isAlive = await worker
      .tell(() => client.say(document))
      .then(
        () => true,
        () => false,
      )
    if (isAlive && last) last.ackedAt ??= performance.now()
    return isAlive
  }

  #end(slot: number, device: Device, how: Ending, from: number, until: number): void {
    if (this.#devices.get(slot) === device) this.#devices.delete(slot)
    const { life } = device
    if (life.end) return
    life.end = { how, from, until }
    this.#note(`${short(life.client)} is over: ${how}`)
  }

  #workerOf(slot: number): Worker {
    const worker = this.#options.workers[slot % this.#options.workers.length]
    if (!worker) throw new Error('no worker')
    return worker
  }

  #note(what: string): void {
    this.#options.diary.note(this.user, what)
  }
}

function short(clientId: string): string {
  return clientId.slice(0, 4)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
