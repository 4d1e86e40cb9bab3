import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'

/** Options of {@link createWebSocketDuplex}. */
export interface WebSocketDuplexOptions {
  /** Where the peer connects from; kept for logs and for who asks the stream. */
  readonly remoteAddress?: string | undefined
  /**
   * Bytes that may be queued before `write()` returns false. Above what the fan-out allows a reader to
   * have queued, so that the fan-out's bound is the one that decides.
   * @default 16 MiB
   */
  readonly writableHighWaterMark?: number
  /**
   * Bytes after which a frame that gathers several writes is closed and the next one begun: a reader on
   * a thin line gets the first messages of a large backlog while the rest is on its way, and a backlog
   * is not copied as a whole.
   * @default 64 KiB
   */
  readonly frameBytes?: number
}

/** Where ws has its bound (lib/receiver.js): it looks at it for each frame, and offers no other way to change it. */
interface Receiving {
  readonly _receiver: { _maxPayload: number } | null
}

const DEFAULTS = {
  writableHighWaterMark: 16 * 1024 * 1024,
  frameBytes: 64 * 1024,
} as const satisfies Partial<WebSocketDuplexOptions>

const NORMAL_CLOSURE = 1000
const UNSUPPORTED_DATA = 1003

/** Makes an open WebSocket the byte stream that MQTT expects: frame borders mean nothing [MQTT-6.0.0-2]. */
export function createWebSocketDuplex(
  socket: WebSocket,
  options: WebSocketDuplexOptions = {},
): WebSocketDuplex {
  return new WebSocketDuplex(socket, options)
}

/**
 * A byte stream over a WebSocket. What is queued leaves in one binary frame, so a packet that was written
 * in many small corked writes is at most one frame. Emits `pong` when the peer answers {@link ping}.
 */
export class WebSocketDuplex extends Duplex {
  readonly remoteAddress: string | undefined
  readonly #socket: WebSocket
  readonly #frameBytes: number
  #refused = false

  constructor(socket: WebSocket, options: WebSocketDuplexOptions) {
    const { writableHighWaterMark, frameBytes } = { ...DEFAULTS, ...options }
    super({ writableHighWaterMark, allowHalfOpen: false })
    this.remoteAddress = options.remoteAddress
    this.#socket = socket
    this.#frameBytes = frameBytes
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    socket.on('pong', () => this.emit('pong'))
    // ws has begun to close with a code that says what was wrong (1002, 1007, 1009); see _destroy.
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => {
      if (!this.destroyed) this.push(null)
    })
  }

  /**
   * Asks the peer for a `pong`. A pong proves the network and the peer's kernel, not its application; and
   * none is read while back-pressure has stopped the reading.
   */
  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping()
  }

  /** From now on a frame may have so many bytes; a larger one closes the connection with 1009. */
  limitFrames(bytes: number): void {
    const { _receiver: receiver } = this.#socket as unknown as Receiving
    // oxlint-disable-next-line no-underscore-dangle -- ws's own
    if (receiver) receiver._maxPayload = bytes
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.destroyed || this.#refused) return
    if (!isBinary) {
      // A text frame closes the connection [MQTT-6.0.0-1]. The owner hears `end` and destroys the stream.
      this.#refused = true
      this.#socket.close(UNSUPPORTED_DATA, 'MQTT needs binary frames')
      this.push(null)
    } else if (!this.push(data)) {
      this.#socket.pause()
    }
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: string, callback: Callback): void {
    this.#send(chunk, callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#sendFrom(chunks, 0, callback)
  }

  /** Sends one frame of what is queued, and the next when the socket took it. */
  #sendFrom(chunks: readonly { chunk: Buffer }[], start: number, callback: Callback): void {
    const parts: Buffer[] = []
    let bytes = 0
    let end = start
    for (; end < chunks.length && bytes < this.#frameBytes; end++) {
      const chunk = chunks[end]?.chunk
      if (!chunk) continue
      parts.push(chunk)
      bytes += chunk.length
    }
    const isLast = end === chunks.length
    this.#send(Buffer.concat(parts, bytes), (error) => {
      if (error || isLast) callback(error)
      else this.#sendFrom(chunks, end, callback)
    })
  }

  #send(bytes: Buffer, callback: Callback): void {
    // Once the peer has said goodbye nobody reads this; `end` follows, which is no error.
    // And an empty write needs no frame: its callback says that what was written before is taken.
    if (this.#socket.readyState !== WebSocket.OPEN || bytes.length === 0) callback()
    else this.#socket.send(bytes, { binary: true, compress: false }, callback)
  }

  override _final(callback: Callback): void {
    this.#socket.close(NORMAL_CLOSURE)
    callback()
  }

  override _destroy(error: Error | null, callback: Callback): void {
    // A closing handshake that has begun may tell the peer why; ws bounds it by its closeTimeout.
    if (this.#socket.readyState === WebSocket.CLOSING) this.#socket.resume()
    else this.#socket.terminate()
    callback(error)
  }
}

type Callback = (error?: Error | null) => void
