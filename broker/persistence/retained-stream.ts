import { Readable, type Writable } from 'node:stream'

/**
 * Retained messages for one SUBSCRIBE, each read when the one before it has been written. A stream's
 * usual buffers would hold messages that are replaced meanwhile: the subscriber would get the new
 * one live, and the old one after it. At `undefined` other work gets its turn.
 */
export class RetainedStream<T> extends Readable {
  readonly #messages: Iterator<T | undefined>

  constructor(messages: Iterator<T | undefined>) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#messages = messages
  }

  override _read(): void {
    const next = this.#messages.next()
    if (next.done === true) this.push(null)
    // oxlint-disable-next-line no-underscore-dangle -- Node's own name
    else if (next.value === undefined) setImmediate(() => this._read())
    else this.push(next.value)
  }

  override pipe<W extends NodeJS.WritableStream>(destination: W): W {
    writeEach(this.#messages, destination as unknown as Writable)
    return destination
  }
}

function writeEach<T>(messages: Iterator<T | undefined>, destination: Writable): void {
  const step = (error?: Error | null): void => {
    if (error) return
    const next = messages.next()
    if (next.done === true) destination.end()
    else if (next.value === undefined) setImmediate(step)
    else destination.write(next.value, step)
  }
  step()
}
