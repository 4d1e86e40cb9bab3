import type { Readable } from 'node:stream'
import { CONNECT, createHeaderReader, refuseFirstByte, type FixedHeader } from './fixed-header.ts'
import type { PacketReader } from './packet-reader.ts'
import {
  MALFORMED,
  PACKET_TOO_LARGE,
  PROTOCOL_ERROR,
  type Refusal,
  type Version,
} from './refusal.ts'
import { UnfinishedPacket } from './unfinished-packet.ts'

/** The largest packets that are taken, in bytes with their fixed header. */
export interface SizeLimits {
  readonly maxPacketSize: number
  readonly maxConnectSize: number
}

const NOTHING = Buffer.alloc(0)

/** The beginning of a version 5 CONNECT, behind the fixed header. */
const VERSION_5 = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 5])

// One for all, since a header is used up before the next one is read.
const readHeader = createHeaderReader()

/**
 * Cuts a stream of bytes into packets. A packet whose first bytes are wrong, or that says it will be too
 * large, is refused before anything of it is kept.
 */
export class PacketCutter {
  /** The client's, once its CONNECT has told. */
  version: Version | undefined
  /** Why there are no more packets. */
  refusal: Refusal | undefined
  readonly #limits: SizeLimits
  readonly #unfinished = new UnfinishedPacket()
  /** What is being cut, from `#at` on; what comes after it. */
  #bytes: Buffer = NOTHING
  #at = 0
  #behind: Buffer = NOTHING

  constructor(limits: SizeLimits) {
    this.#limits = limits
  }

  /** How much has come of a packet whose end has not. */
  get unfinishedLength(): number {
    return this.#unfinished.length
  }

  /** Gives it the next bytes, once it has no more packets. */
  feed(chunk: Buffer): void {
    const unfinished = this.#unfinished
    if (unfinished.length === 0) {
      this.#cut(chunk)
      return
    }
    let used = 0
    do {
      used += unfinished.append(chunk, used)
      unfinished.expect(this.#measure(unfinished.bytes, 0).neededBytes)
    } while (used < chunk.length && !unfinished.isComplete)
    if (unfinished.isComplete) this.#cut(unfinished.release(), chunk.subarray(used))
  }

  /** The fixed header of the next packet, if the packet is all there. */
  next(): FixedHeader | undefined {
    if (this.#at === this.#bytes.length) this.#cut(this.#behind)
    const available = this.#bytes.length - this.#at
    if (available === 0 || this.refusal) return undefined
    const header = this.#measure(this.#bytes, this.#at)
    if (this.refusal) return undefined
    if (header.neededBytes <= available) return header
    this.#unfinished.expect(header.neededBytes)
    this.#unfinished.append(this.#bytes, this.#at)
    this.#cut(NOTHING)
    return undefined
  }

  /** Takes the packet that {@link next} has found, and opens it in a reader. */
  take({ type, headerBytes, neededBytes }: FixedHeader, reader: PacketReader): void {
    const bytes = this.#bytes
    const start = this.#at
    const end = start + neededBytes
    this.#at = end
    if (type === CONNECT) {
      // What CONNECT brings is kept as long as the connection, and the chunk that it came in should not be.
      reader.open(Buffer.from(bytes.subarray(start, end)), headerBytes, neededBytes, this.version)
    } else {
      reader.open(bytes, start + headerBytes, end, this.version)
    }
  }

  /** Puts back what is behind the packets that were taken; not the beginning of an unfinished one. */
  giveBack(stream: Readable): void {
    if (this.#behind.length > 0) stream.unshift(this.#behind)
    if (this.#at < this.#bytes.length) stream.unshift(this.#bytes.subarray(this.#at))
    this.#cut(NOTHING)
  }

  /** Forgets everything. */
  clear(): void {
    this.#unfinished.release()
    this.#cut(NOTHING)
  }

  #cut(bytes: Buffer, behind: Buffer = NOTHING): void {
    this.#bytes = bytes
    this.#at = 0
    this.#behind = behind
  }

  #measure(bytes: Buffer, at: number): FixedHeader {
    const header = readHeader(bytes, at)
    this.refusal = this.#judge(header, bytes, at)
    return header
  }

  #judge(header: FixedHeader, bytes: Buffer, at: number): Refusal | undefined {
    const { version } = this
    const { maxConnectSize, maxPacketSize } = this.#limits
    if (version !== undefined) {
      const wrong = refuseFirstByte(version, bytes[at] ?? 0)
      if (wrong) return wrong
      if (header.isEndless) return ENDLESS
      return header.neededBytes > maxPacketSize
        ? tooLarge('packet', header.neededBytes, maxPacketSize)
        : undefined
    }
    if (header.type !== CONNECT) return NOT_CONNECT
    if (header.isEndless) return ENDLESS
    if (header.neededBytes <= maxConnectSize) return undefined
    const refusal = tooLarge('CONNECT', header.neededBytes, maxConnectSize)
    // Version 5 has a word for it, so it is looked at a little further.
    const start = at + header.headerBytes
    header.neededBytes = header.headerBytes + VERSION_5.length
    if (bytes.length < at + header.neededBytes) return undefined
    if (bytes.subarray(start, start + VERSION_5.length).equals(VERSION_5)) this.version = 5
    return refusal
  }
}

/** [MQTT-3.1.0-1] */
const NOT_CONNECT: Refusal = { kind: 'first_packet', reasonCode: PROTOCOL_ERROR }

/** 2.2.3 (5: 1.5.5): at most four bytes. */
const ENDLESS: Refusal = { kind: 'length', reasonCode: MALFORMED }

/** Version 5: [MQTT-3.2.2-15], which CONNACK has told the client. */
function tooLarge(what: string, size: number, most: number): Refusal {
  const words = `expected a ${what} of at most ${most} bytes, got ${size} bytes`
  return { kind: 'too_large', reasonCode: PACKET_TOO_LARGE, words }
}
