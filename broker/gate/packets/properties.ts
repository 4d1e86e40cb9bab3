import type { PacketReader } from '../packet-reader.ts'
import { PROTOCOL_ERROR, TOPIC_ALIAS_INVALID } from '../refusal.ts'
import { isTopicName } from '../topics.ts'
import { readUserProperty, type UserProperties } from './user-properties.ts'

/** Properties by the names that mqtt-packet gives them. */
export type Properties = Record<string, unknown>

/** Where properties stand. */
export type Host =
  | 'connect'
  | 'will'
  | 'publish'
  | 'acknowledgement'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'

interface Property {
  readonly id: number
  readonly name: string
  /** Of what a client sends, where it may stand (2.2.2.2). */
  readonly hosts: readonly Host[]
  /** Reads the value, and fails where the specification forbids it. */
  readonly read: (reader: PacketReader) => unknown
}

const USER_PROPERTY = 0x26

/** Every property of version 5 that a client may send. */
const PROPERTIES: readonly Property[] = [
  { id: 0x01, name: 'payloadFormatIndicator', hosts: ['publish', 'will'], read: flag },
  { id: 0x02, name: 'messageExpiryInterval', hosts: ['publish', 'will'], read: uint32 },
  { id: 0x03, name: 'contentType', hosts: ['publish', 'will'], read: text },
  { id: 0x08, name: 'responseTopic', hosts: ['publish', 'will'], read: topicName },
  { id: 0x09, name: 'correlationData', hosts: ['publish', 'will'], read: binary },
  { id: 0x0b, name: 'subscriptionIdentifier', hosts: ['subscribe'], read: notZero(variableInt) },
  { id: 0x11, name: 'sessionExpiryInterval', hosts: ['connect', 'disconnect'], read: uint32 },
  { id: 0x15, name: 'authenticationMethod', hosts: ['connect'], read: text },
  { id: 0x16, name: 'authenticationData', hosts: ['connect'], read: binary },
  { id: 0x17, name: 'requestProblemInformation', hosts: ['connect'], read: flag },
  { id: 0x18, name: 'willDelayInterval', hosts: ['will'], read: uint32 },
  { id: 0x19, name: 'requestResponseInformation', hosts: ['connect'], read: flag },
  { id: 0x1c, name: 'serverReference', hosts: ['disconnect'], read: text },
  { id: 0x1f, name: 'reasonString', hosts: ['acknowledgement', 'disconnect'], read: text },
  { id: 0x21, name: 'receiveMaximum', hosts: ['connect'], read: notZero(uint16) },
  { id: 0x22, name: 'topicAliasMaximum', hosts: ['connect'], read: uint16 },
  { id: 0x23, name: 'topicAlias', hosts: ['publish'], read: topicAlias },
  { id: 0x27, name: 'maximumPacketSize', hosts: ['connect'], read: notZero(uint32) },
]

/** What may stand where, by host and identifier. User properties may stand everywhere. */
const ALLOWED: Record<Host, ReadonlyMap<number, Property>> = {
  connect: allowedIn('connect'),
  will: allowedIn('will'),
  publish: allowedIn('publish'),
  acknowledgement: allowedIn('acknowledgement'),
  subscribe: allowedIn('subscribe'),
  unsubscribe: allowedIn('unsubscribe'),
  disconnect: allowedIn('disconnect'),
}

/** Reads the properties of version 5, with their length before them; undefined when there are none. */
export function readProperties(reader: PacketReader, host: Host): Properties | undefined {
  const length = reader.variableInt()
  if (length === 0) return undefined
  const allowed = ALLOWED[host]
  const properties: Properties = {}
  reader.within(length, () => {
    while (reader.left > 0) {
      const id = reader.byte()
      const property = allowed.get(id)
      if (id === USER_PROPERTY) {
        const before = properties['userProperties'] as UserProperties | undefined
        properties['userProperties'] = readUserProperty(reader, before)
      } else if (!property) reader.fail('property')
      // Everything else stands there once (3.1.2.11 and so on).
      else if (Object.hasOwn(properties, property.name)) reader.fail('property', PROTOCOL_ERROR)
      else properties[property.name] = property.read(reader)
    }
  })
  return properties
}

function allowedIn(host: Host): ReadonlyMap<number, Property> {
  const allowed = PROPERTIES.filter(({ hosts }) => hosts.includes(host))
  return new Map(allowed.map((property) => [property.id, property]))
}

function uint16(reader: PacketReader): number {
  return reader.uint16()
}

function uint32(reader: PacketReader): number {
  return reader.uint32()
}

function variableInt(reader: PacketReader): number {
  return reader.variableInt()
}

function text(reader: PacketReader): string {
  return reader.text()
}

function binary(reader: PacketReader): Buffer {
  return reader.binary()
}

function flag(reader: PacketReader): boolean {
  const value = reader.byte()
  if (value > 1) reader.fail('property', PROTOCOL_ERROR)
  return value === 1
}

function notZero(read: (reader: PacketReader) => number): (reader: PacketReader) => number {
  return (reader) => {
    const value = read(reader)
    if (value === 0) reader.fail('property', PROTOCOL_ERROR)
    return value
  }
}

/** [MQTT-3.3.2-14] */
function topicName(reader: PacketReader): string {
  const topic = reader.text()
  if (!isTopicName(topic)) reader.fail('property', PROTOCOL_ERROR)
  return topic
}

/** [MQTT-3.3.2-8] */
function topicAlias(reader: PacketReader): number {
  const alias = reader.uint16()
  if (alias === 0) reader.fail('topic_alias', TOPIC_ALIAS_INVALID)
  return alias
}
