import type { AedesPublishPacket } from 'aedes'
import type { IPublishPacket } from 'mqtt-packet'
import { listUserProperties, type UserProperties } from '../gate/packets/user-properties.ts'
import { encodeField, encodeVariableInt } from './encode-publish.ts'

type Properties = NonNullable<IPublishPacket['properties']>

/**
 * Encodes what a server forwards unaltered [MQTT-3.3.2-4 to -20]. Named one by one because others must not
 * pass: a topic alias belongs to a connection, a will's delay to its CONNECT, a subscription identifier to
 * the reader.
 *
 * @throws TypeError for a value of another kind, which only an embedder can have given
 */
export function encodeForwarded({ properties = {}, messageExpiry }: AedesPublishPacket): Buffer {
  const parts: Buffer[] = []
  const { payloadFormatIndicator: format, correlationData } = properties
  // What is left of it [MQTT-3.3.2-6].
  const expiry =
    messageExpiry === undefined
      ? properties.messageExpiryInterval
      : Math.max(1, Math.ceil((messageExpiry - Date.now()) / 1000))
  if (format !== undefined) parts.push(Buffer.from([0x01, format ? 1 : 0]))
  if (expiry !== undefined) parts.push(encodeUint32(0x02, 'messageExpiryInterval', expiry))
  addText(parts, 0x03, 'contentType', properties)
  addText(parts, 0x08, 'responseTopic', properties)
  if (correlationData !== undefined) {
    if (!Buffer.isBuffer(correlationData)) throw new TypeError('correlationData must be a Buffer')
    parts.push(Buffer.from([0x09]), encodeField('correlationData', correlationData))
  }
  if (properties.userProperties) addUserProperties(parts, properties.userProperties)
  return Buffer.concat(parts)
}

/** Encodes a reader's subscription identifiers [MQTT-3.3.4-3]. */
export function encodeIdentifiers(identifiers: readonly number[]): Buffer {
  return Buffer.concat(identifiers.flatMap((id) => [Buffer.from([0x0b]), encodeVariableInt(id)]))
}

function addText(
  parts: Buffer[],
  id: number,
  name: 'contentType' | 'responseTopic',
  properties: Properties,
): void {
  const value: unknown = properties[name]
  if (value === undefined) return
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
  parts.push(Buffer.from([id]), encodeField(name, value))
}

function addUserProperties(parts: Buffer[], all: object): void {
  for (const [name, value] of listUserProperties(all as UserProperties)) {
    const field = encodeField('the name of a user property', name)
    parts.push(Buffer.from([0x26]), field, encodeField(name, value))
  }
}

function encodeUint32(id: number, name: string, value: number): Buffer {
  if (!(value >= 0 && value <= 0xffff_ffff)) throw new RangeError(`${name} is no 32-bit number`)
  const bytes = Buffer.allocUnsafe(5)
  bytes[0] = id
  bytes.writeUInt32BE(value, 1)
  return bytes
}
