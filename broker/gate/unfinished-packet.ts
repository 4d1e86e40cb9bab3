const NOTHING = Buffer.alloc(0)

/**
 * The beginning of a packet whose end has not come yet. Takes memory for what has come, not for what was
 * announced, and at most twice as much: a packet that comes byte by byte costs no object for each.
 */
export class UnfinishedPacket {
  #bytes: Buffer = NOTHING
  #length = 0
  /** The packet's size, as far as is known. */
  #size = 0

  /** The bytes that have come. */
  get length(): number {
    return this.#length
  }

  get isComplete(): boolean {
    return this.#length > 0 && this.#length === this.#size
  }

  /** What has come so far; valid until the next call of anything. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** How large the packet is, or how many bytes are needed to know. */
  expect(size: number): void {
    this.#size = size
  }

  /** Takes what the packet still lacks from the beginning of a chunk; returns how much that was. */
  append(chunk: Buffer, start = 0): number {
    const taken = Math.min(this.#size - this.#length, chunk.length - start)
    this.#makeRoom(this.#length + taken)
    chunk.copy(this.#bytes, this.#length, start, start + taken)
    this.#length += taken
    return taken
  }

  /** Gives the bytes away and is empty again. */
  release(): Buffer {
    const { bytes } = this
    this.#bytes = NOTHING
    this.#length = 0
    this.#size = 0
    return bytes
  }

  #makeRoom(length: number): void {
    if (length <= this.#bytes.length) return
    const room = Math.min(this.#size, Math.max(length, 2 * this.#bytes.length, 64))
    const bytes = Buffer.allocUnsafeSlow(room)
    this.#bytes.copy(bytes, 0, 0, this.#length)
    this.#bytes = bytes
  }
}
