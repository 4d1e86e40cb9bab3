import { MALFORMED, PROTOCOL_ERROR, type Refusal, type Version } from './refusal.ts'

export const CONNECT = 1
export const PUBLISH = 3
export const PUBACK = 4
export const PUBREC = 5
export const PUBREL = 6
export const PUBCOMP = 7
export const SUBSCRIBE = 8
export const UNSUBSCRIBE = 10
export const PINGREQ = 12
export const DISCONNECT = 14
const AUTH = 15

/** The first bytes of a packet: what it is, and how long it says it is. */
export interface FixedHeader {
  type: number
  flags: number
  /** How many bytes the header takes; 0 while it is not all there. */
  headerBytes: number
  /** How many bytes follow the header. */
  remainingLength: number
  /** The packet's size; while the header is not all there, the bytes that are needed to read on. */
  neededBytes: number
  /** Whether the length does not end within its four bytes. */
  isEndless: boolean
}

/** Creates what reads fixed headers, into one object again and again: it does so for every packet. */
export function createHeaderReader(): (bytes: Buffer, start: number) => FixedHeader {
  const header: FixedHeader = {
    type: 0,
    flags: 0,
    headerBytes: 0,
    remainingLength: 0,
    neededBytes: 0,
    isEndless: false,
  }
  return (bytes, start) => {
    const first = bytes[start] ?? 0
    header.type = first >> 4
    header.flags = first & 0x0f
    let length = 0
    let at = start + 1
    for (let shift = 0; shift < 28; shift += 7, at++) {
      const byte = bytes[at]
      if (byte === undefined) {
        header.headerBytes = 0
        header.neededBytes = at + 1 - start
        header.isEndless = false
        return header
      }
      length += (byte & 0x7f) << shift
      if (byte >= 0x80) continue
      header.headerBytes = at + 1 - start
      header.remainingLength = length
      header.neededBytes = header.headerBytes + length
      header.isEndless = false
      return header
    }
    header.isEndless = true
    return header
  }
}

/** Whether a length takes no more bytes than it needs [MQTT-1.5.5-1]. */
export function isShortest({ headerBytes, remainingLength }: FixedHeader): boolean {
  return headerBytes === 2 || remainingLength >= 1 << (7 * (headerBytes - 2))
}

/** What is wrong with the first byte of a client's packet, by version and byte. */
const FIRST_BYTES: Record<Version, readonly (Refusal | undefined)[]> = {
  3: firstBytesOf(3),
  4: firstBytesOf(4),
  5: firstBytesOf(5),
}

/** What is wrong with the first byte of a packet that comes after CONNECT. */
export function refuseFirstByte(version: Version, first: number): Refusal | undefined {
  return FIRST_BYTES[version][first]
}

function firstBytesOf(version: Version): (Refusal | undefined)[] {
  return Array.from({ length: 256 }, (_, first) => judge(version, first >> 4, first & 0x0f))
}

function judge(version: Version, type: number, flags: number): Refusal | undefined {
  switch (type) {
    case CONNECT:
      // [MQTT-3.1.0-2]
      return { kind: 'second_connect', reasonCode: PROTOCOL_ERROR }
    case PUBLISH: {
      const qos = (flags >> 1) & 3
      // [MQTT-3.3.1-4]; DUP with QoS 0: [MQTT-3.3.1-2], of which 3.1 does not speak.
      const isBad = qos === 3 || (qos === 0 && flags >= 8 && version > 3)
      return isBad ? { kind: 'flags', reasonCode: MALFORMED } : undefined
    }
    case PUBREL:
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      return judgeFlags(version, flags, 2)
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
    case PINGREQ:
    case DISCONNECT:
      return judgeFlags(version, flags, 0)
    case AUTH:
      // Nobody has agreed on a method with us [MQTT-4.12.0-1].
      return { kind: 'packet_type', reasonCode: PROTOCOL_ERROR }
    case 0:
      return { kind: 'packet_type', reasonCode: MALFORMED }
    default:
      return { kind: 'packet_type', reasonCode: PROTOCOL_ERROR }
  }
}

/** [MQTT-2.2.2-2] (5: [MQTT-2.1.3-1]). In 3.1 they are not used, and DUP is set when one is sent again. */
function judgeFlags(version: Version, flags: number, expected: number): Refusal | undefined {
  return version === 3 || flags === expected ? undefined : { kind: 'flags', reasonCode: MALFORMED }
}
