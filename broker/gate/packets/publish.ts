import type { IPublishPacket } from 'mqtt-packet'
import type { FixedHeader } from '../fixed-header.ts'
import type { PacketReader } from '../packet-reader.ts'
import {
  MALFORMED,
  PAYLOAD_FORMAT_INVALID,
  PROTOCOL_ERROR,
  TOPIC_NAME_INVALID,
} from '../refusal.ts'
import type { TopicAliases } from '../topic-aliases.ts'
import { hasLevels, isTopicName } from '../topics.ts'
import { hasPayloadFormat } from './payload-format.ts'
import { readProperties, type Properties } from './properties.ts'

/** A PUBLISH as mqtt-packet would have parsed it, but for a topic alias, which is replaced. */
export type PublishPacket = Omit<IPublishPacket, 'properties' | 'length' | 'payload'> & {
  length: number
  payload: Buffer
  properties?: Properties
}

/** Decodes a PUBLISH. The payload is a view of the bytes that came. */
export function readPublish(
  reader: PacketReader,
  { flags, remainingLength: length }: FixedHeader,
  aliases: TopicAliases,
  maxTopicLevels: number,
): PublishPacket {
  let topic = reader.text('a topic')
  const qos = ((flags >> 1) & 3) as 0 | 1 | 2
  const messageId = qos > 0 ? reader.packetId() : 0
  const properties = reader.version === 5 ? readProperties(reader, 'publish') : undefined
  const alias = properties?.['topicAlias'] as number | undefined
  const payload = reader.rest()

  if (topic === '') {
    // 3.3.2.1: a topic, or an alias for one.
    if (alias === undefined) reader.fail('topic', reader.version === 5 ? PROTOCOL_ERROR : MALFORMED)
  } else if (!isTopicName(topic)) {
    reader.fail('topic')
  } else if (!hasLevels(topic, maxTopicLevels)) {
    reader.fail('topic', TOPIC_NAME_INVALID)
  }
  // Above QoS 0 there is an acknowledgement that says so.
  if (qos === 0 && !hasPayloadFormat(payload, properties)) {
    reader.fail('payload_format', PAYLOAD_FORMAT_INVALID)
  }
  if (alias !== undefined && !reader.refusal) {
    topic = aliases.resolve(reader, alias, topic)
    // It belongs to this connection [MQTT-3.3.2-7]. Aedes must not look it up again.
    if (properties) properties['topicAlias'] = undefined
  }

  const packet: PublishPacket = {
    cmd: 'publish',
    retain: (flags & 1) !== 0,
    qos,
    dup: (flags & 8) !== 0,
    length,
    topic,
    payload,
  }
  if (qos > 0) packet.messageId = messageId
  if (properties) packet.properties = properties
  return packet
}
