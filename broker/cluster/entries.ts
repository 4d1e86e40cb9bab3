import type { AedesPublishPacket } from 'aedes'
import type { EmittedPacket } from '../aedes-internals.ts'
import { encodeField, encodePublish } from '../fanout/encode-publish.ts'
import { encodeForwarded } from '../fanout/forwarded-properties.ts'
import { PacketReader } from '../gate/packet-reader.ts'
import { readProperties } from '../gate/packets/properties.ts'
import { setVersion, versionOf } from '../retained/version.ts'

/** What one broker says to the others beside the messages of clients. */
export type Word =
  /**
   * A client id was claimed for a connection of the speaker: whoever has an older one ends it, and the broker
   * that had it last hands over its session.
   */
  | {
      readonly type: 'takeover'
      readonly clientId: string
      readonly claim: number
      readonly holder: string
      /** Whether its session ends. */
      readonly isClean: boolean
    }
  /**
   * The speaker has ended its connection of a client id. Its session is in Redis, with what the speaker had
   * read of the log up to a number, and with what it had published itself.
   */
  | { readonly type: 'released'; readonly clientId: string; readonly position: number }
  /** Somebody showed an unload key that is none of the speaker's. */
  | { readonly type: 'unload'; readonly unloadKey: string }
  /** All connections of a client id are to end. */
  | { readonly type: 'kick'; readonly clientId: string }
  /** The shared subscriptions of which the speaker has members: such as are there, and such as have a session. */
  | { readonly type: 'shares'; readonly live: readonly string[]; readonly kept: readonly string[] }
  /** The speaker is new, or has missed something: whoever has said what lasts says it again. */
  | { readonly type: 'hello' }

/** An entry of the log, not yet read. */
export interface Entry {
  /** The number of the entry; grows by one from each to the next. */
  readonly number: number
  /** The broker that wrote it. */
  readonly broker: string
  readonly head: string
  /** The message of a client; empty for a word. */
  readonly message: Buffer
}

/** A message as it is written. */
export interface EncodedMessage {
  readonly head: string
  readonly message: Buffer
}

/** What of a message does not fit into an MQTT packet. */
interface Head {
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** The number that its broker gave it; with the broker's id it is the message's name. */
  readonly counter: number
  /** Who published it, for whoever does not want his own. */
  readonly clientId?: string
  /** When it expires, in milliseconds since the epoch. */
  readonly expiry?: number
  /** The version of what it tells; `append.lua` reads it. */
  readonly version?: number
}

/** What is written of a message. */
export type WrittenPacket = Pick<
  EmittedPacket,
  | 'topic'
  | 'payload'
  | 'qos'
  | 'retain'
  | 'brokerCounter'
  | 'clientId'
  | 'messageExpiry'
  | 'properties'
>

/** Encodes a message. */
export function encodeMessage(packet: WrittenPacket): EncodedMessage {
  const { topic, payload, qos, retain, brokerCounter, clientId, messageExpiry, properties } = packet
  const version = versionOf(packet)
  const head: Head = {
    qos,
    retain,
    counter: brokerCounter,
    ...(clientId !== undefined && { clientId }),
    ...(messageExpiry !== undefined && { expiry: messageExpiry }),
    ...(version !== undefined && { version }),
  }
  // As a client of version 5 would get it, with the order of its user properties [MQTT-3.3.2-18].
  const message = encodePublish({
    retain: false,
    qos: 0,
    dup: false,
    messageId: 0,
    topic: encodeField('a topic', topic),
    properties: [encodeForwarded({ properties } as AedesPublishPacket)],
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
  })
  return { head: JSON.stringify(head), message }
}

/** Reads what was written beside a message. */
export function decodeHead(head: string): Head {
  return JSON.parse(head) as Head
}

/** Reads a message that {@link encodeMessage} has written. */
export function decodeMessage(broker: string, head: string, message: Buffer): EmittedPacket {
  const { qos, retain, counter, clientId, expiry, version } = decodeHead(head)
  const { topic, payload, properties } = decodePacket(message)
  const packet: AedesPublishPacket & { clientId?: string } = {
    cmd: 'publish',
    topic,
    payload,
    qos,
    retain,
    dup: false,
    brokerId: broker,
    brokerCounter: counter,
  }
  if (properties) packet.properties = properties
  if (clientId !== undefined) packet.clientId = clientId
  if (expiry !== undefined) packet.messageExpiry = expiry
  if (version !== undefined) setVersion(packet, version)
  return packet
}

function decodePacket(bytes: Buffer): Pick<AedesPublishPacket, 'topic' | 'payload' | 'properties'> {
  const reader = new PacketReader()
  reader.open(bytes, 0, bytes.length, 5)
  reader.byte()
  const length = reader.variableInt()
  const isWhole = length === reader.left
  const topic = reader.text()
  const properties = readProperties(reader, 'publish')
  const payload = reader.rest()
  if (!isWhole || reader.refusal) {
    throw new Error('expected an MQTT packet in the log, got other bytes')
  }
  return { topic, payload, ...(properties && { properties }) }
}

/** The number of what is only retained again; Aedes counts from 1. */
export const AGAIN = 0

/** The message of an entry. What is only retained again has no name but that of its entry. */
export function decodeEntryMessage({ number, broker, head, message }: Entry): EmittedPacket {
  const packet = decodeMessage(broker, head, message)
  return packet.brokerCounter === AGAIN ? { ...packet, ...nameOf(number) } : packet
}

/** Whether the message of an entry waits for who is not there: it is above QoS 0. */
export function isForAbsent({ head }: Entry): boolean {
  return !head.startsWith('{"qos":0')
}

/** Names the message of an entry whose broker gave it none, or is not known. */
export function nameOf(number: number): Pick<EmittedPacket, 'brokerId' | 'brokerCounter'> {
  return { brokerId: 'log', brokerCounter: number }
}

/** Takes apart what Redis returns for an entry of the log: its id, and its fields and values in turn. */
export function decodeEntry([id, fields]: readonly [Buffer, readonly Buffer[]]): Entry {
  const [, broker, , head, , message] = fields
  if (!broker || !head || !message) throw new Error(`entry ${String(id)} of the log lacks a field`)
  const number = Number.parseInt(String(id), 10)
  return { number, broker: String(broker), head: String(head), message }
}

/** A retained message as it lies in Redis. */
export interface StoredRetained {
  /** The number of its entry in the log. */
  readonly number: number
  readonly packet: EmittedPacket
}

/** Writes a number and a message, each part on a line, as `append.lua` does for what is retained. */
export function encodeNumbered(number: number, { head, message }: EncodedMessage): Buffer {
  return Buffer.concat([Buffer.from(`${number}\n${head}\n`), message])
}

/** Reads what {@link encodeNumbered} has written. */
export function decodeNumbered(broker: string, value: Buffer): StoredRetained {
  const first = value.indexOf(10)
  const second = value.indexOf(10, first + 1)
  const head = value.toString('utf8', first + 1, second)
  return {
    number: Number(value.toString('latin1', 0, first)),
    packet: decodeMessage(broker, head, value.subarray(second + 1)),
  }
}
