import { createBridge, type Bridge, type BridgeOptions } from '../../bridge/index.ts'
import type { Cause, ConnectionDocument, Json } from '../../protocol/index.ts'
import type { Logger } from '../../runtime/logger.ts'
import { ManualClock } from '../helpers/manual-clock.ts'
import { MemoryLink } from '../helpers/memory-link.ts'

/** When every test begins. */
export const START = 1_700_000_000_000

/** A time so many seconds after the start, as the contract writes it. */
export function iso(second: number): string {
  return new Date(START + second * 1000).toISOString()
}

/** What a client says, as JSON has it. */
export type Said = Omit<Partial<ConnectionDocument>, 'rooms'> & {
  readonly rooms?: Readonly<Record<string, Json>>
}

interface LogLine {
  readonly level: keyof Logger
  readonly fields: object
  readonly message: string
}

/** A bridge, its broker and its clock; nothing is real, and nothing waits. */
export class World {
  readonly clock: ManualClock
  readonly link: MemoryLink
  readonly logs: LogLine[] = []
  /** Brokers of ours that beat while the time passes. */
  readonly brokers = new Set(['b1'])
  readonly #options: Partial<BridgeOptions>
  #bridge: Bridge | undefined

  private constructor(options: Partial<BridgeOptions>, now: number, earlier?: MemoryLink) {
    this.#options = options
    this.clock = new ManualClock(now)
    this.link = new MemoryLink(earlier)
    this.link.onPing = (ping) => {
      for (const broker of this.brokers) this.#beat(broker, { ping })
    }
  }

  /** Starts a bridge on a broker of its own; what it publishes at its start is not looked at. */
  static async start(options: Partial<BridgeOptions> = {}): Promise<World> {
    const world = new World(options, START)
    await world.#run()
    await world.beat('b1')
    world.link.take()
    return world
  }

  /** Kills the bridge’s process, and starts another one on the same broker after a while. */
  async restart(seconds: number, options: Partial<BridgeOptions> = {}): Promise<World> {
    this.link.kill()
    const merged = { ...this.#options, ...options }
    const world = new World(merged, this.clock.now() + seconds * 1000, this.link)
    await world.#run()
    return world
  }

  async #run(): Promise<void> {
    const { clock, link } = this
    this.#bridge = await createBridge({
      clock,
      link,
      id: 'x',
      logger: this.#logger(),
      ...this.#options,
    })
    await clock.advance(0)
  }

  get bridge(): Bridge {
    if (!this.#bridge) throw new Error('the bridge has not been started')
    return this.#bridge
  }

  #logger(): Logger {
    const log = (level: keyof Logger) => (fields: object, message: string) => {
      this.logs.push({ level, fields, message })
    }
    return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  }

  /** Lets so many seconds pass, in which the brokers beat. */
  async wait(seconds: number): Promise<void> {
    const until = this.clock.now() + seconds * 1000
    for (let left = seconds * 1000; left > 0; left = until - this.clock.now()) {
      for (const broker of this.brokers) await this.beat(broker)
      await this.clock.advance(Math.min(left, 2000))
    }
  }

  /** A client of our broker speaks. */
  async online(name: string, connection: string, said: Said = {}): Promise<void> {
    await this.say(name, { status: 'online', connection, broker: 'b1', ...said })
  }

  /** Our broker says that a connection is over. */
  async ended(name: string, connection: string, reason: Cause): Promise<void> {
    await this.say(name, { status: 'offline', connection, broker: 'b1', reason, ended: true })
  }

  /** Publishes a connection document of `user/client`. */
  async say(name: string, document: Said | string): Promise<void> {
    this.link.send(`presence/connections/${name}`, document)
    await this.clock.advance(0)
  }

  /** A broker of ours beats. */
  async beat(broker: string, fields: object = {}): Promise<void> {
    this.#beat(broker, fields)
    await this.clock.advance(0)
  }

  #beat(broker: string, fields: object): void {
    const beat = { broker, status: 'up', connections: 1, intervalMs: 2000, ...fields }
    this.link.send(`presence/brokers/${broker}`, beat)
  }

  /** What was published since the last look: the topic below the root, and a plain payload. */
  take(): string[] {
    return this.link.take().map((line) => line.replace(/^presence\//, '').replace(/ \{.*$/, ' {…}'))
  }

  /** The retained document on a topic below the root. */
  retained(topic: string): unknown {
    const payload = this.link.retained.get(`presence/${topic}`)
    return payload?.startsWith('{') ? (JSON.parse(payload) as unknown) : payload
  }

  /** Everything retained on the output plane, the bridge’s own topics aside. */
  shown(): Record<string, unknown> {
    const topics = [...this.link.retained.keys()].map((topic) => topic.replace('presence/', ''))
    const output = topics.filter((topic) => /^(users|rooms)\//.test(topic))
    return Object.fromEntries(output.toSorted().map((topic) => [topic, this.retained(topic)]))
  }
}
