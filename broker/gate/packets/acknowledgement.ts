import type { PacketReader } from '../packet-reader.ts'
import { PROTOCOL_ERROR } from '../refusal.ts'
import { readProperties, type Properties } from './properties.ts'

/** What answers a message, or an answer to it. */
export type AcknowledgementName = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'

/** A PUBACK, PUBREC, PUBREL or PUBCOMP as mqtt-packet would have parsed it. */
export interface AcknowledgementPacket {
  cmd: AcknowledgementName
  length: number
  messageId: number
  reasonCode?: number
  properties?: Properties
}

const OF_MESSAGE: ReadonlySet<number> = new Set([
  0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99,
])
const OF_RELEASE: ReadonlySet<number> = new Set([0x00, 0x92])

/** The reason codes that each may have (3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1). */
const REASON_CODES: Record<AcknowledgementName, ReadonlySet<number>> = {
  puback: OF_MESSAGE,
  pubrec: OF_MESSAGE,
  pubrel: OF_RELEASE,
  pubcomp: OF_RELEASE,
}

/** Decodes a PUBACK, PUBREC, PUBREL or PUBCOMP. */
export function readAcknowledgement(
  reader: PacketReader,
  cmd: AcknowledgementName,
  length: number,
): AcknowledgementPacket {
  const packet: AcknowledgementPacket = { cmd, length, messageId: reader.packetId() }
  if (reader.version === 5) {
    packet.reasonCode = reader.left > 0 ? reader.byte() : 0
    if (!REASON_CODES[cmd].has(packet.reasonCode)) reader.fail('reason_code', PROTOCOL_ERROR)
    const properties = reader.left > 0 ? readProperties(reader, 'acknowledgement') : undefined
    if (properties) packet.properties = properties
  }
  reader.finish()
  return packet
}
