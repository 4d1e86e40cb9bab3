import type { Link, LinkHandlers, LinkMessage, LinkPublishOptions } from '../../bridge/index.ts'

/** A message that a bridge has published. */
export interface Publication {
  readonly topic: string
  readonly payload: string
  readonly retain: boolean
}

/** What becomes of a publication: the broker refuses it, or nobody ever hears of it again. */
type Fate = 'refused' | 'lost' | undefined

interface Waiting {
  resolve(): void
  reject(error: Error): void
}

/**
 * A broker and the way to it, in memory. It behaves like a socket with a persistent session: what
 * arrives is handed over one by one, acknowledgements wait for the messages before them, and what
 * comes while the link is down is kept. It leaves out what is older than what a topic has had.
 */
export class MemoryLink implements Link {
  /** Everything that the broker got from the bridge, in order. */
  readonly record: Publication[] = []
  readonly retained = new Map<string, string>()
  /** The highest version of each topic. */
  readonly versions = new Map<string, number>()
  /** Decides about each publication. */
  fate: (publication: Publication) => Fate = () => undefined
  /** What brokers behind the link do with a bridge's ping. */
  onPing: (ping: string) => void = () => {}
  #handlers: LinkHandlers | undefined
  #filters: readonly string[] = []
  #opened: Promise<void> = Promise.resolve()
  #isUp = false
  #hasSession = false
  /** What arrives over the wire: messages, and the settling of publications. */
  #wire: (LinkMessage | (() => void))[] = []
  #reading: LinkMessage | (() => void) | undefined
  /** What the session keeps while the link is down. */
  #kept: LinkMessage[] = []
  readonly #unacknowledged = new Set<Waiting>()

  /** @param earlier the link of an earlier life of the bridge, whose broker this is */
  constructor(earlier?: MemoryLink) {
    if (!earlier) return
    this.retained = earlier.retained
    this.versions = earlier.versions
    this.#kept = earlier.#kept
    this.#filters = earlier.#filters
    this.#hasSession = earlier.#hasSession
  }

  async readRetained(filters: readonly string[]): Promise<readonly LinkMessage[]> {
    return Array.from(this.retained)
      .filter(([topic]) => filters.some((filter) => matches(filter, topic)))
      .map(([topic, payload]) => message(topic, payload, true))
  }

  async open(filters: readonly string[], handlers: LinkHandlers): Promise<void> {
    this.#handlers = handlers
    this.#filters = filters
    await this.comeUp(this.#hasSession)
  }

  publish(topic: string, payload: string, options: LinkPublishOptions): Promise<void> {
    const { retain, version } = options
    return new Promise((resolve, reject) => {
      if (!this.#isUp) return reject(new Error('the link is down'))
      const publication = { topic, payload, retain }
      const fate = this.fate(publication)
      const waiting = { resolve, reject }
      this.#unacknowledged.add(waiting)
      if (fate === 'lost') return
      if (!fate && this.#admits(topic, version)) this.#take(publication)
      this.#arrive(() => {
        if (!this.#unacknowledged.delete(waiting)) return
        if (fate) reject(new Error('the broker has refused it'))
        else resolve()
      })
    })
  }

  async close(): Promise<void> {
    this.#cut()
  }

  /** Somebody publishes something. */
  send(topic: string, payload: string | object, retain = false): void {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
    if (retain) this.#retain(topic, text)
    this.#deliver(message(topic, text, false))
  }

  /** Somebody publishes bytes. */
  sendBytes(topic: string, payload: Uint8Array): void {
    this.#deliver({ topic, payload, retain: false })
  }

  /** The connection is lost. */
  goDown(): void {
    this.#cut()
    this.#handlers?.onDown()
  }

  /** The connection is back, with the session of before or without. */
  async comeUp(resumed = true): Promise<void> {
    const handlers = this.#handlers
    if (!handlers) throw new Error('the link was never opened')
    this.#isUp = true
    this.#hasSession = true
    this.#opened = handlers.onUp(resumed)
    await this.#opened
    const waiting = resumed ? this.#kept : await this.readRetained(this.#filters)
    this.#kept = []
    for (const each of waiting) this.#arrive(each)
  }

  /** The bridge’s process dies: nothing reaches it any more, and nothing comes from it. */
  kill(): void {
    this.#cut()
    this.#handlers = undefined
  }

  /** What was published since the last call, as `topic payload`. */
  take(): string[] {
    return this.record.splice(0).map(({ topic, payload }) => `${topic} ${payload}`.trimEnd())
  }

  #take(publication: Publication): void {
    const { topic, payload, retain } = publication
    // What a bridge asks its broker for a sign of life is no output.
    const isPing = topic.endsWith('/ping')
    if (!isPing) this.record.push(publication)
    if (retain) this.#retain(topic, payload)
    this.#deliver(message(topic, payload, false))
    if (isPing) this.onPing((JSON.parse(payload) as { ping: string }).ping)
  }

  #admits(topic: string, version: number | undefined): boolean {
    if (version === undefined) return true
    if (version < (this.versions.get(topic) ?? 0)) return false
    this.versions.set(topic, version)
    return true
  }

  #retain(topic: string, payload: string): void {
    if (payload === '') this.retained.delete(topic)
    else this.retained.set(topic, payload)
  }

  #deliver(incoming: LinkMessage): void {
    if (!this.#filters.some((filter) => matches(filter, incoming.topic))) return
    if (this.#isUp) this.#arrive(incoming)
    else if (this.#hasSession) this.#kept.push(incoming)
  }

  #arrive(what: LinkMessage | (() => void)): void {
    this.#wire.push(what)
    if (!this.#reading) void this.#read()
  }

  async #read(): Promise<void> {
    while ((this.#reading = this.#wire.shift())) {
      await Promise.resolve()
      if (typeof this.#reading === 'function') {
        this.#reading()
      } else {
        await this.#opened
        await this.#handlers?.onMessage(this.#reading)
      }
    }
  }

  #cut(): void {
    if (!this.#isUp) return
    this.#isUp = false
    // What was not dealt with was not acknowledged, and comes again.
    const undone = [this.#reading, ...this.#wire].filter((what) => typeof what === 'object')
    if (this.#hasSession) this.#kept = undone
    this.#wire = []
    for (const waiting of this.#unacknowledged) waiting.reject(new Error('the link is down'))
    this.#unacknowledged.clear()
  }
}

function message(topic: string, payload: string, retain: boolean): LinkMessage {
  return { topic, payload: new TextEncoder().encode(payload), retain }
}

/** Whether a filter of whole levels, with `+`, matches a topic. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  return (
    wanted.length === levels.length &&
    wanted.every((level, i) => level === '+' || level === levels[i])
  )
}
