import type { IConnectPacket } from 'mqtt-packet'
import { isShortest, type FixedHeader } from '../fixed-header.ts'
import type { PacketReader } from '../packet-reader.ts'
import {
  BAD_AUTHENTICATION_METHOD,
  IDENTIFIER_REJECTED,
  PAYLOAD_FORMAT_INVALID,
  PROTOCOL_ERROR,
  TOPIC_NAME_INVALID,
  UNACCEPTABLE_LEVEL,
  UNSUPPORTED_VERSION,
  type Version,
} from '../refusal.ts'
import { hasLevels, isTopicName } from '../topics.ts'
import { hasPayloadFormat } from './payload-format.ts'
import { readProperties, type Properties } from './properties.ts'

/** A CONNECT as mqtt-packet would have parsed it. */
export type ConnectPacket = Omit<IConnectPacket, 'properties' | 'will' | 'length'> & {
  length: number
  properties?: Properties
  will?: Will
}

interface Will {
  topic: string
  payload: Buffer
  qos: 0 | 1 | 2
  retain: boolean
  properties?: Properties
}

const RESERVED = 0x01
const CLEAN = 0x02
const WILL = 0x04
const WILL_RETAIN = 0x20
const PASSWORD = 0x40
const USER_NAME = 0x80

/** Decodes a CONNECT. */
export function readConnect(
  reader: PacketReader,
  header: FixedHeader,
  maxTopicLevels: number,
): ConnectPacket {
  const version = readVersion(reader)
  // [MQTT-2.2.2-2]; 3.1 does not use them.
  if (header.flags !== 0 && version !== 3) reader.fail('flags')
  if (version === 5 && !isShortest(header)) reader.fail('length')
  const flags = readFlags(reader, version)
  const keepalive = reader.uint16()
  const properties = version === 5 ? readProperties(reader, 'connect') : undefined
  if (properties) checkAuthentication(reader, properties)
  const clientId = reader.text('a client id')
  const will = flags & WILL ? readWill(reader, version, flags, maxTopicLevels) : undefined
  const username =
    flags & USER_NAME && !isLeftOut(reader, version) ? reader.text('a user name') : undefined
  const password = flags & PASSWORD && !isLeftOut(reader, version) ? reader.binary() : undefined
  reader.finish()

  const clean = (flags & CLEAN) !== 0
  // [MQTT-3.1.3-8]; 3.1 has no empty client id at all. Version 5 assigns one.
  if (clientId === '' && (version === 3 || (version === 4 && !clean))) {
    reader.fail('client_id', PROTOCOL_ERROR, IDENTIFIER_REJECTED)
  }
  return {
    cmd: 'connect',
    length: header.remainingLength,
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clean,
    keepalive,
    clientId,
    ...(properties ? { properties } : {}),
    ...(will ? { will } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password ? { password } : {}),
  }
}

function readVersion(reader: PacketReader): Version {
  const name = reader.binary().toString('latin1')
  // [MQTT-3.1.2-1]: whoever this is, it is not MQTT that it speaks.
  if (name !== 'MQTT' && name !== 'MQIsdp') reader.fail('protocol_name', UNSUPPORTED_VERSION)
  const level = reader.byte()
  const version = name === 'MQIsdp' ? 3 : level === 5 ? 5 : 4
  if (!reader.refusal) reader.version = level > 5 && level < 0x80 ? 5 : version
  // [MQTT-3.1.2-2]. Mosquitto's bridges set the highest bit at first, and take no for an answer.
  if (level !== version) reader.fail('protocol_level', UNSUPPORTED_VERSION, UNACCEPTABLE_LEVEL)
  return version
}

function readFlags(reader: PacketReader, version: Version): number {
  const flags = reader.byte()
  const willQos = (flags >> 3) & 3
  // [MQTT-3.1.2-3]; 3.1 does not use it.
  if (flags & RESERVED && version !== 3) reader.fail('connect_flags')
  // [MQTT-3.1.2-13, -15] (5: -11, -13)
  if (!(flags & WILL) && (willQos !== 0 || flags & WILL_RETAIN)) reader.fail('connect_flags')
  // [MQTT-3.1.2-14] (5: -12)
  if (willQos === 3) reader.fail('connect_flags')
  // [MQTT-3.1.2-22]; version 5 allows a password alone.
  if (flags & PASSWORD && !(flags & USER_NAME) && version !== 5) reader.fail('connect_flags')
  return flags
}

/** 3.1 lets a user name or password be missing in spite of its flag. */
function isLeftOut(reader: PacketReader, version: Version): boolean {
  return version === 3 && reader.left === 0
}

function readWill(
  reader: PacketReader,
  version: Version,
  flags: number,
  maxTopicLevels: number,
): Will {
  const properties = version === 5 ? readProperties(reader, 'will') : undefined
  const topic = reader.text('a will topic')
  if (!isTopicName(topic)) reader.fail('will')
  if (!hasLevels(topic, maxTopicLevels)) reader.fail('will', TOPIC_NAME_INVALID)
  const payload = reader.binary()
  if (!hasPayloadFormat(payload, properties)) reader.fail('payload_format', PAYLOAD_FORMAT_INVALID)
  return {
    topic,
    payload,
    qos: ((flags >> 3) & 3) as 0 | 1 | 2,
    retain: (flags & WILL_RETAIN) !== 0,
    ...(properties ? { properties } : {}),
  }
}

function checkAuthentication(reader: PacketReader, properties: Properties): void {
  if ('authenticationMethod' in properties) {
    // [MQTT-4.12.0-1]
    reader.fail('authentication', BAD_AUTHENTICATION_METHOD)
  } else if ('authenticationData' in properties) {
    // 3.1.2.11.10
    reader.fail('authentication', PROTOCOL_ERROR)
  }
}
