/** Bytes of packets, right or wrong: nothing here knows what is allowed. */
type Part = Uint8Array | number | readonly Part[]

/** A packet: its first byte, then as many bytes as it says. */
export function packet(first: number, ...parts: Part[]): Buffer {
  const content = join(parts)
  return Buffer.concat([Buffer.from([first]), varint(content.length), content])
}

/** Bytes one after the other; a number is one byte. */
export function join(parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.from([part])
      return part instanceof Uint8Array ? part : join(part)
    }),
  )
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A variable byte integer. */
export function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  do {
    bytes.push((left % 128) | (left >= 128 ? 0x80 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return Buffer.from(bytes)
}

/** A string, or whatever bytes stand for one, with its length. */
export function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u16(bytes.length), bytes])
}

/** Properties, with their length. */
export function props(...parts: Part[]): Buffer {
  const content = join(parts)
  return Buffer.concat([varint(content.length), content])
}

export function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(' ', ''), 'hex')
}

/** The parts of a CONNECT, each of which may be wrong. */
export interface ConnectParts {
  readonly first?: number
  readonly name?: string
  readonly level?: number
  readonly flags?: number
  readonly keepalive?: number
  readonly properties?: Buffer
  readonly payload?: readonly Part[]
}

/** A CONNECT of a version; right unless a part says otherwise. */
export function connectOf(version: 3 | 4 | 5, parts: ConnectParts = {}): Buffer {
  const {
    first = 0x10,
    name = version === 3 ? 'MQIsdp' : 'MQTT',
    level = version,
    flags = 2,
    keepalive = 10,
    properties = version === 5 ? props() : Buffer.alloc(0),
    payload = [text('p')],
  } = parts
  return packet(first, text(name), level, flags, u16(keepalive), properties, payload)
}
