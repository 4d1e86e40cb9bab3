import type { AedesClient, SeenPacket } from '../aedes-internals.ts'
import type { ClientPacket } from './packets/decode.ts'
import { PACKET_TOO_LARGE, PROTOCOL_ERROR, type Refusal } from './refusal.ts'

/** Whether an acknowledgement is one for which its client was asked. */
export type Expects = (client: AedesClient, packet: SeenPacket) => boolean

/** What is wrong with a packet that is valid by itself: it does not fit what its client has said or was sent. */
export function judgeFit(
  packet: ClientPacket,
  client: AedesClient,
  expects: Expects,
): Refusal | undefined {
  switch (packet.cmd) {
    case 'puback':
    case 'pubrec':
    case 'pubcomp':
      return expects(client, packet) ? undefined : UNEXPECTED
    case 'subscribe':
      return judgeAnswer(client, packet.subscriptions.length)
    case 'unsubscribe':
      return judgeAnswer(client, packet.unsubscriptions.length)
    default:
      return undefined
  }
}

/** The answer has a byte for each filter, and must not be larger than the client takes [MQTT-3.1.2-24]. */
function judgeAnswer(
  { maximumPacketSize = Infinity }: AedesClient,
  filters: number,
): Refusal | undefined {
  // An id and no properties; the length takes two bytes from 128 on.
  const remaining = 3 + filters
  return remaining + (remaining < 128 ? 2 : 3) > maximumPacketSize ? ANSWER_TOO_LARGE : undefined
}

const UNEXPECTED: Refusal = { kind: 'acknowledgement', reasonCode: PROTOCOL_ERROR }
const ANSWER_TOO_LARGE: Refusal = { kind: 'answer_too_large', reasonCode: PACKET_TOO_LARGE }
