import { generate, type Packet } from 'mqtt-packet'
import { wantsReasons, type AedesClient } from '../aedes-internals.ts'
import { PublicationRefusal } from './publication-refusal.ts'

/** Version 5 reason code: unspecified error. */
const UNSPECIFIED = 0x80

/** Acknowledges a QoS 1 message. */
export function acknowledge(client: AedesClient, messageId: number): void {
  write(client, { cmd: 'puback', messageId })
}

/** Tells a version 5 client that its message is not published, by PUBACK or PUBREC. */
export function refusePublication(
  client: AedesClient,
  { qos, messageId }: { readonly qos: number; readonly messageId: number },
  error: Error,
): void {
  const cmd = qos === 1 ? 'puback' : 'pubrec'
  const reasonCode = error instanceof PublicationRefusal ? error.reasonCode : UNSPECIFIED
  const packet = { cmd, messageId, reasonCode } as const
  // [MQTT-3.1.2-29]
  const isLong = wantsReasons(client) && error.message !== ''
  const isSent = isLong && write(client, { ...packet, properties: { reasonString: error.message } })
  if (!isSent) write(client, packet)
}

/** False when the client does not take packets of this size [MQTT-3.4.2-2], [MQTT-3.5.2-2]. */
function write(client: AedesClient, packet: Packet): boolean {
  const { conn, version, disconnectReasonCode, maximumPacketSize = Infinity } = client
  const bytes = generate(packet, { protocolVersion: version === 5 ? 5 : 4 })
  if (bytes.length > maximumPacketSize) return false
  if (conn.writable && disconnectReasonCode === null) conn.write(bytes)
  return true
}
