import type { PacketReader } from '../packet-reader.ts'
import { MALFORMED, PROTOCOL_ERROR, TOPIC_FILTER_INVALID } from '../refusal.ts'
import { hasLevels, isShared, isSharedFilter, isTopicFilter } from '../topics.ts'
import { readProperties, type Properties } from './properties.ts'

interface Subscription {
  topic: string
  qos: 0 | 1 | 2
  nl?: boolean
  rap?: boolean
  rh?: number
}

/** A SUBSCRIBE as mqtt-packet would have parsed it. */
export interface SubscribePacket {
  cmd: 'subscribe'
  length: number
  messageId: number
  subscriptions: Subscription[]
  properties?: Properties
}

/** An UNSUBSCRIBE as mqtt-packet would have parsed it. */
export interface UnsubscribePacket {
  cmd: 'unsubscribe'
  length: number
  messageId: number
  unsubscriptions: string[]
  properties?: Properties
}

/** Decodes a SUBSCRIBE. */
export function readSubscribe(
  reader: PacketReader,
  length: number,
  maxTopicLevels: number,
): SubscribePacket {
  const messageId = reader.packetId()
  const properties = reader.version === 5 ? readProperties(reader, 'subscribe') : undefined
  const subscriptions: Subscription[] = []
  // [MQTT-3.8.3-3] (5: [MQTT-3.8.3-2])
  if (reader.left === 0) reader.fail('filter', PROTOCOL_ERROR)
  while (reader.left > 0) subscriptions.push(readSubscription(reader, maxTopicLevels))
  return {
    cmd: 'subscribe',
    length,
    messageId,
    subscriptions,
    ...(properties ? { properties } : {}),
  }
}

/** Decodes an UNSUBSCRIBE. */
export function readUnsubscribe(
  reader: PacketReader,
  length: number,
  maxTopicLevels: number,
): UnsubscribePacket {
  const messageId = reader.packetId()
  const properties = reader.version === 5 ? readProperties(reader, 'unsubscribe') : undefined
  const unsubscriptions: string[] = []
  // [MQTT-3.10.3-2]
  if (reader.left === 0) reader.fail('filter', PROTOCOL_ERROR)
  while (reader.left > 0) unsubscriptions.push(readFilter(reader, maxTopicLevels))
  return {
    cmd: 'unsubscribe',
    length,
    messageId,
    unsubscriptions,
    ...(properties ? { properties } : {}),
  }
}

function readSubscription(reader: PacketReader, maxTopicLevels: number): Subscription {
  const topic = readFilter(reader, maxTopicLevels)
  const options = reader.byte()
  const qos = (options & 3) as 0 | 1 | 2
  if (reader.version !== 5) {
    // [MQTT-3-8.3-4]; 3.1 does not use the other bits.
    if (options & 0xfc && reader.version === 4) reader.fail('subscription_options')
    if ((options & 3) === 3) reader.fail('subscription_options')
    return { topic, qos }
  }
  const nl = (options & 4) !== 0
  const rap = (options & 8) !== 0
  const rh = (options >> 4) & 3
  // [MQTT-3.8.3-5], [MQTT-3.8.3-4], and 3.8.3.1
  if (options & 0xc0) reader.fail('subscription_options', MALFORMED)
  if ((options & 3) === 3 || rh === 3 || (nl && isShared(topic))) {
    reader.fail('subscription_options', PROTOCOL_ERROR)
  }
  return { topic, qos, nl, rap, rh }
}

function readFilter(reader: PacketReader, maxTopicLevels: number): string {
  const filter = reader.text('a filter')
  if (reader.version === 5 && isShared(filter)) {
    if (!isSharedFilter(filter)) reader.fail('filter')
  } else if (!isTopicFilter(filter)) {
    reader.fail('filter')
  }
  if (!hasLevels(filter, maxTopicLevels)) reader.fail('filter', TOPIC_FILTER_INVALID)
  return filter
}
