import {
  CONNECT,
  DISCONNECT,
  isShortest,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
  type FixedHeader,
} from '../fixed-header.ts'
import type { PacketReader } from '../packet-reader.ts'
import { MALFORMED, type Refusal } from '../refusal.ts'
import type { TopicAliases } from '../topic-aliases.ts'
import { readAcknowledgement, type AcknowledgementPacket } from './acknowledgement.ts'
import { readConnect, type ConnectPacket } from './connect.ts'
import { readDisconnect, type DisconnectPacket } from './disconnect.ts'
import { readPublish, type PublishPacket } from './publish.ts'
import {
  readSubscribe,
  readUnsubscribe,
  type SubscribePacket,
  type UnsubscribePacket,
} from './subscribe.ts'

/** What a client may send. */
export type ClientPacket =
  | ConnectPacket
  | PublishPacket
  | AcknowledgementPacket
  | SubscribePacket
  | UnsubscribePacket
  | DisconnectPacket
  | { readonly cmd: 'pingreq'; readonly length: number }

/** What the meaning of a packet depends on besides its bytes. */
export interface DecodeContext {
  readonly maxTopicLevels: number
  readonly aliases: TopicAliases
  /** Whether the session outlives the connection, as CONNECT has it. */
  readonly isSessionKept: boolean
}

/** Decodes a packet whose first byte is right, or says why it is not valid. */
export function decode(
  reader: PacketReader,
  header: FixedHeader,
  context: DecodeContext,
): ClientPacket | Refusal {
  if (reader.version === 5 && !isShortest(header)) reader.fail('length')
  const packet = read(reader, header, context)
  return reader.refusal ?? packet ?? { kind: 'packet_type', reasonCode: MALFORMED }
}

function read(
  reader: PacketReader,
  header: FixedHeader,
  { aliases, maxTopicLevels, isSessionKept }: DecodeContext,
): ClientPacket | undefined {
  const length = header.remainingLength
  switch (header.type) {
    case CONNECT:
      return readConnect(reader, header, maxTopicLevels)
    case PUBLISH:
      return readPublish(reader, header, aliases, maxTopicLevels)
    case PUBACK:
      return readAcknowledgement(reader, 'puback', length)
    case PUBREC:
      return readAcknowledgement(reader, 'pubrec', length)
    case PUBREL:
      return readAcknowledgement(reader, 'pubrel', length)
    case PUBCOMP:
      return readAcknowledgement(reader, 'pubcomp', length)
    case SUBSCRIBE:
      return readSubscribe(reader, length, maxTopicLevels)
    case UNSUBSCRIBE:
      return readUnsubscribe(reader, length, maxTopicLevels)
    case PINGREQ:
      reader.finish()
      return { cmd: 'pingreq', length }
    case DISCONNECT:
      return readDisconnect(reader, length, isSessionKept)
    default:
      return undefined
  }
}
