import type { PacketReader } from '../packet-reader.ts'
import { PROTOCOL_ERROR } from '../refusal.ts'
import { readProperties, type Properties } from './properties.ts'

/** A DISCONNECT as mqtt-packet would have parsed it. */
export interface DisconnectPacket {
  cmd: 'disconnect'
  length: number
  reasonCode?: number
  properties?: Properties
}

/** The reason codes that a client may give (3.14.2.1). */
const REASON_CODES: ReadonlySet<number> = new Set([
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
])

/** Decodes a DISCONNECT. */
export function readDisconnect(
  reader: PacketReader,
  length: number,
  isSessionKept: boolean,
): DisconnectPacket {
  const packet: DisconnectPacket = { cmd: 'disconnect', length }
  if (reader.version === 5) {
    packet.reasonCode = reader.left > 0 ? reader.byte() : 0
    if (!REASON_CODES.has(packet.reasonCode)) reader.fail('reason_code', PROTOCOL_ERROR)
    const properties = reader.left > 0 ? readProperties(reader, 'disconnect') : undefined
    if (properties) packet.properties = properties
    // 3.14.2.2.2: what ends with the connection cannot be made to last when it ends.
    if (properties?.['sessionExpiryInterval'] && !isSessionKept) {
      reader.fail('session_expiry', PROTOCOL_ERROR)
    }
  }
  reader.finish()
  return packet
}
