import { isUtf8 } from 'node:buffer'
import {
  MALFORMED,
  PROTOCOL_ERROR,
  type Refusal,
  type RefusalKind,
  type Version,
} from './refusal.ts'

/** Control characters and non-characters: a receiver may refuse them (1.5.3; 5: 1.5.4), and many do. */
const UNWANTED = /[\p{Control}\p{Noncharacter_Code_Point}]/u

const NOTHING = Buffer.alloc(0)

/**
 * Reads the fields of one packet, one after the other. What is wrong is noted once, the first time: from
 * then on nothing is left, and every field is empty. So a decoder reads on without asking, and asks at the
 * end.
 */
export class PacketReader {
  /** Of the connection, or what its CONNECT has shown so far. */
  version: Version | undefined
  refusal: Refusal | undefined
  #bytes: Buffer = NOTHING
  #at = 0
  #end = 0

  /** Begins a packet behind its fixed header. */
  open(bytes: Buffer, start: number, end: number, version: Version | undefined): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.version = version
    this.refusal = undefined
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#end - this.#at
  }

  /** Notes what is wrong. */
  fail(kind: RefusalKind, reasonCode: number = MALFORMED, returnCode?: number): void {
    this.refusal ??= { kind, reasonCode, ...(returnCode === undefined ? {} : { returnCode }) }
    this.#end = this.#at
  }

  byte(): number {
    return this.#has(1) ? (this.#bytes[this.#at++] ?? 0) : 0
  }

  uint16(): number {
    if (!this.#has(2)) return 0
    this.#at += 2
    return this.#bytes.readUInt16BE(this.#at - 2)
  }

  uint32(): number {
    if (!this.#has(4)) return 0
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  /** A variable byte integer: at most four bytes, and no more than it needs [MQTT-1.5.5-1]. */
  variableInt(): number {
    let value = 0
    for (let i = 0; i < 4; i++) {
      const byte = this.byte()
      if (this.refusal) return 0
      value += (byte & 0x7f) << (7 * i)
      if (byte >= 0x80) continue
      if (byte === 0 && i > 0) break
      return value
    }
    this.fail('length')
    return 0
  }

  /** A packet identifier, which is never 0 [MQTT-2.3.1-1] (5: [MQTT-2.2.1-3]). */
  packetId(): number {
    const id = this.uint16()
    if (id === 0) this.fail('packet_id', PROTOCOL_ERROR)
    return id
  }

  /**
   * A string: well-formed UTF-8 without U+0000 [MQTT-1.5.3-1, -2] (5: [MQTT-1.5.4-1, -2]).
   *
   * @param what what it is, for the sentence that refuses it
   */
  text(what = 'text'): string {
    const length = this.uint16()
    if (!this.#has(length)) return ''
    const bytes = this.#bytes
    const start = this.#at
    const end = start + length
    this.#at = end
    for (let i = start; i < end; i++) {
      const byte = bytes[i] ?? 0
      if (byte > 0x7e) return this.#wideText(start, end, what)
      if (byte < 0x20) return this.#failText(what, String.fromCharCode(byte))
    }
    return bytes.toString('latin1', start, end)
  }

  #wideText(start: number, end: number, what: string): string {
    const bytes = this.#bytes.subarray(start, end)
    if (!isUtf8(bytes)) return this.#failText(what)
    const text = bytes.toString()
    const unwanted = UNWANTED.exec(text)
    return unwanted ? this.#failText(what, unwanted[0]) : text
  }

  #failText(what: string, unwanted?: string): string {
    const words =
      unwanted === undefined
        ? `expected ${what} in UTF-8, got other bytes`
        : `expected ${what} without control characters and noncharacters, got ${nameOf(unwanted)}`
    this.refusal ??= { kind: 'text', reasonCode: MALFORMED, words }
    this.#end = this.#at
    return ''
  }

  /** Bytes with their length before them; a view of the packet. */
  binary(): Buffer {
    return this.#take(this.uint16())
  }

  /** Everything that is left; a view of the packet. */
  rest(): Buffer {
    return this.#take(this.left)
  }

  /** Reads the next bytes as something that must fill them. */
  within(length: number, read: () => void): void {
    if (!this.#has(length)) return
    const end = this.#end
    this.#end = this.#at + length
    read()
    if (!this.refusal) this.#end = end
  }

  /** Notes it when something is left that belongs to no field. */
  finish(): void {
    if (this.left > 0) this.fail('content')
  }

  #take(length: number): Buffer {
    if (!this.#has(length)) return NOTHING
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  #has(length: number): boolean {
    if (length <= this.left) return true
    this.fail('content')
    return false
  }
}

/** U+0001: the character itself may be anything but readable. */
function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}
