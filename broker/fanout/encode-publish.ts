/** The parts of a PUBLISH, encoded. */
export interface PublishParts {
  readonly retain: boolean
  readonly qos: 0 | 1 | 2
  readonly dup: boolean
  /** Above QoS 0. */
  readonly messageId: number
  /** With its length before it. */
  readonly topic: Buffer
  /** Version 5, without their length: what all readers get, and what is this reader's. */
  readonly properties: readonly Buffer[] | undefined
  readonly payload: Buffer
}

/** The largest number of a variable byte integer (1.5.5). */
const MAX_VARIABLE_INT = 268_435_455

/** Puts a PUBLISH together. */
export function encodePublish(parts: PublishParts): Buffer {
  const { retain, qos, dup, messageId, topic, properties, payload } = parts
  let propertyBytes = 0
  let remaining = topic.length + payload.length
  if (qos > 0) remaining += 2
  if (properties) {
    for (const each of properties) propertyBytes += each.length
    remaining += sizeOfVariableInt(propertyBytes) + propertyBytes
  }
  const bytes = Buffer.allocUnsafe(1 + sizeOfVariableInt(remaining) + remaining)
  bytes[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  let at = writeVariableInt(bytes, remaining, 1)
  at += topic.copy(bytes, at)
  if (qos > 0) at = bytes.writeUInt16BE(messageId, at)
  if (properties) {
    at = writeVariableInt(bytes, propertyBytes, at)
    for (const each of properties) at += each.copy(bytes, at)
  }
  payload.copy(bytes, at)
  return bytes
}

/** Encodes a variable byte integer. */
export function encodeVariableInt(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOfVariableInt(value))
  writeVariableInt(bytes, value, 0)
  return bytes
}

/** Encodes bytes with their length before them; `what` they are is said when there are too many. */
export function encodeField(what: string, value: string | Buffer): Buffer {
  const length = typeof value === 'string' ? Buffer.byteLength(value) : value.length
  if (length > 65_535) throw new RangeError(`${what} must have at most 65535 bytes, got ${length}`)
  const bytes = Buffer.allocUnsafe(2 + length)
  bytes.writeUInt16BE(length, 0)
  if (typeof value === 'string') bytes.write(value, 2)
  else value.copy(bytes, 2)
  return bytes
}

function sizeOfVariableInt(value: number): number {
  if (value < 128) return 1
  if (value < 16_384) return 2
  if (value < 2_097_152) return 3
  if (value <= MAX_VARIABLE_INT) return 4
  throw new RangeError(`a packet must have at most ${MAX_VARIABLE_INT} bytes, got ${value}`)
}

function writeVariableInt(bytes: Buffer, value: number, at: number): number {
  let left = value
  let next = at
  while (left > 127) {
    bytes[next++] = (left & 127) | 128
    left >>= 7
  }
  bytes[next++] = left
  return next
}
