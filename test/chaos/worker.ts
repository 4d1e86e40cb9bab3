import type { Address } from '../helpers/connect-options.ts'
import { startClientProcess, type ClientProcess } from '../helpers/remote-clients.ts'
import { eventually } from '../helpers/within.ts'
import { layLine, type Line } from './line.ts'
import type { Blow } from './plan.ts'
import type { World } from './world.ts'

/** What a process of clients is asked to do when one of those things befalls it. */
export interface Fate {
  /** Its clients fall silent, or are gone. */
  onBlow(worker: Worker, blow: Blow, at: number): void
  /** Its clients may speak again. */
  onBack(worker: Worker, blow: Blow, from: number): Promise<void>
}

/** How long somebody waits for a process that is frozen, unplugged or starting, in milliseconds. */
const OPEN_WITHIN_MS = 60_000

/** How long an unplugging waits for what is being done, in milliseconds. */
const IDLE_WITHIN_MS = 30_000

/** A process of clients with a network of its own, which can be frozen, unplugged and killed. */
export class Worker {
  readonly #addresses: readonly Address[]
  readonly #lines: readonly Line[]
  #process: ClientProcess
  #isOpen = true
  #busy = 0
  #gone: PromiseWithResolver = createPromise()

  private constructor(
    process: ClientProcess,
    addresses: readonly Address[],
    lines: readonly Line[],
  ) {
    this.#process = process
    this.#addresses = addresses
    this.#lines = lines
  }

  static async start({ brokers }: World): Promise<Worker> {
    const lines: Line[] = []
    const addresses: Address[] = []
    for (const node of brokers) {
      const mqtt = await layLine(() => node.mqttPort)
      const http = await layLine(() => node.httpPort)
      lines.push(mqtt, http)
      addresses.push({ host: '127.0.0.1', mqttPort: mqtt.port, httpPort: http.port })
    }
    return new Worker(await startClientProcess(), addresses, lines)
  }

  /** Whether it can be told something now. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Resolves when it can be told something. */
  async opened(): Promise<void> {
    await eventually('the process can be told something', () => this.#isOpen, OPEN_WITHIN_MS)
  }

  /** How its clients reach a broker. */
  address(broker: number): Address {
    const address = this.#addresses[broker]
    if (!address) throw new Error(`no broker ${broker}`)
    return address
  }

  /** Tells it something; rejects when it is killed meanwhile. */
  async tell<T>(run: (process: ClientProcess) => Promise<T>): Promise<T> {
    this.#busy++
    try {
      return await Promise.race([run(this.#process), this.#gone.promise])
    } finally {
      this.#busy--
    }
  }

  /** Strikes it; resolves when it is as good as before. What is asked of it meanwhile has to wait. */
  async strike(blow: Blow, ms: number, fate: Fate): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    try {
      // What was said or cut on a line that is held up would arrive at no known time.
      if (blow === 'unplug') await eventually('idle', () => this.#busy === 0, IDLE_WITHIN_MS)
      const from = performance.now()
      fate.onBlow(this, blow, from)
      await this.#suffer(blow, ms)
      await fate.onBack(this, blow, from)
    } finally {
      this.#isOpen = true
    }
  }

  async #suffer(blow: Blow, ms: number): Promise<void> {
    if (blow === 'kill') {
      this.#process.kill('SIGKILL')
      this.#gone.reject(new Error('the process of this client was killed'))
      this.#gone = createPromise()
      this.#process = await startClientProcess()
      return
    }
    if (blow === 'freeze') this.#process.kill('SIGSTOP')
    else for (const line of this.#lines) line.stall()
    await new Promise((resolve) => setTimeout(resolve, ms))
    if (blow === 'freeze') this.#process.kill('SIGCONT')
    else for (const line of this.#lines) line.resume()
  }
}

interface PromiseWithResolver {
  readonly promise: Promise<never>
  readonly reject: (error: Error) => void
}

function createPromise(): PromiseWithResolver {
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<never>((_, fail) => (reject = fail))
  // Nobody may be waiting.
  promise.catch(() => {})
  return { promise, reject }
}
