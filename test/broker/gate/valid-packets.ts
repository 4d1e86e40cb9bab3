import fc from 'fast-check'
import { generate, type Packet } from 'mqtt-packet'

export type Version = 3 | 4 | 5

/** Characters that a string may have: no control characters, no surrogates, no non-characters. */
const character = fc.constantFrom(...Array.from('abcXYZ019 /$-_.~é한字𪛔\ufeff\u00a0'))
const words = fc.string({ unit: character, maxLength: 20 })
const level = fc.string({ unit: fc.constantFrom(...Array.from('abc한🎈 ')), maxLength: 4 })
const topic = fc
  .array(level, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join('/'))
  .filter((name) => name !== '')
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 5 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))
  .filter((name) => name !== '' && !name.startsWith('$share/'))
const bytes = fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all))
const messageId = fc.integer({ min: 1, max: 65_535 })
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
const uint16 = fc.nat(65_535)
const uint32 = fc.nat(0xffff_ffff)
// mqtt-packet takes an empty value for none when the name comes again.
const value = fc.string({ unit: character, minLength: 1, maxLength: 10 })
const userProperties = fc
  .dictionary(
    fc.oneof(words, fc.constant('constructor')),
    fc.oneof(value, fc.array(value, { minLength: 2, maxLength: 3 })),
    { maxKeys: 3 },
  )
  .filter((all) => Object.keys(all).length > 0)

const messageProperties = {
  payloadFormatIndicator: fc.boolean(),
  messageExpiryInterval: uint32,
  contentType: words,
  responseTopic: topic,
  correlationData: bytes,
  userProperties,
}

function some<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  return fc.record(model, { requiredKeys: [] })
}

/** Version 5 properties that are there only when there are any, as mqtt-packet has them. */
function withProperties<T extends object>(
  version: Version,
  packet: fc.Arbitrary<T>,
  properties: fc.Arbitrary<object>,
): fc.Arbitrary<T> {
  if (version !== 5) return packet
  return fc
    .tuple(packet, properties)
    .map(([one, all]) => (Object.keys(all).length > 0 ? { ...one, properties: all } : one))
}

function publishOf(version: Version): fc.Arbitrary<object> {
  const publish = fc
    .record({ topic, payload: bytes, qos, retain: fc.boolean(), dup: fc.boolean(), messageId })
    .map(({ messageId: id, ...one }) => ({
      cmd: 'publish',
      ...one,
      dup: one.dup && one.qos > 0,
      ...(one.qos > 0 ? { messageId: id } : {}),
    }))
  return withProperties(version, publish, some(messageProperties)).map(keepPromise)
}

/** A payload that is said to be UTF-8 is. */
function keepPromise<T extends object>(message: T): T {
  const { payload, properties } = message as {
    readonly payload?: Buffer
    readonly properties?: { readonly payloadFormatIndicator?: boolean }
  }
  if (!properties?.payloadFormatIndicator) return message
  return { ...message, payload: Buffer.from(String(payload)) }
}

function acknowledgementOf(version: Version): fc.Arbitrary<object> {
  const reasons = {
    puback: [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
    pubrec: [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
    pubrel: [0, 0x92],
    pubcomp: [0, 0x92],
  }
  const of = (cmd: keyof typeof reasons): fc.Arbitrary<object> =>
    fc.record({
      cmd: fc.constant(cmd),
      // Not of a message that the broker has sent, which may need another answer.
      messageId: fc.integer({ min: 30_000, max: 65_535 }),
      ...(version === 5 ? { reasonCode: fc.constantFrom(...reasons[cmd]) } : {}),
    })
  const one = fc.oneof(of('puback'), of('pubrec'), of('pubrel'), of('pubcomp'))
  return withProperties(version, one, some({ reasonString: words, userProperties }))
}

function subscribeOf(version: Version): fc.Arbitrary<object> {
  const options =
    version === 5 ? { nl: fc.boolean(), rap: fc.boolean(), rh: fc.constantFrom(0, 1, 2) } : {}
  const subscriptions = fc.array(fc.record({ topic: filter, qos, ...options }), {
    minLength: 1,
    maxLength: 4,
  })
  const subscribe = fc.record({ cmd: fc.constant('subscribe'), messageId, subscriptions })
  const subscriptionIdentifier = fc.integer({ min: 1, max: 268_435_455 })
  return withProperties(version, subscribe, some({ subscriptionIdentifier, userProperties }))
}

function unsubscribeOf(version: Version): fc.Arbitrary<object> {
  const unsubscriptions = fc.array(filter, { minLength: 1, maxLength: 4 })
  const unsubscribe = fc.record({ cmd: fc.constant('unsubscribe'), messageId, unsubscriptions })
  return withProperties(version, unsubscribe, some({ userProperties }))
}

/** A CONNECT. */
export function connectPackets(version: Version): fc.Arbitrary<Packet> {
  const will = withProperties(
    version,
    fc.record({ topic, payload: bytes, qos, retain: fc.boolean() }),
    some({ ...messageProperties, willDelayInterval: uint32 }),
  ).map(keepPromise)
  const connect = fc
    .record({
      clientId: fc.string({ unit: character, minLength: 1, maxLength: 30 }),
      clean: fc.boolean(),
      keepalive: uint16,
      will: fc.option(will, { nil: undefined }),
      username: fc.option(words, { nil: undefined }),
      password: fc.option(bytes, { nil: undefined }),
    })
    .map(({ will: last, username, password, ...one }) => ({
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      ...one,
      ...(last ? { will: last } : {}),
      ...(username === undefined ? {} : { username, ...(password ? { password } : {}) }),
    }))
  const properties = some({
    sessionExpiryInterval: uint32,
    receiveMaximum: fc.integer({ min: 1, max: 65_535 }),
    // Room for a CONNACK.
    maximumPacketSize: fc.integer({ min: 100, max: 0xffff_ffff }),
    topicAliasMaximum: uint16,
    requestResponseInformation: fc.boolean(),
    requestProblemInformation: fc.boolean(),
    userProperties,
  })
  return withProperties(version, connect, properties) as unknown as fc.Arbitrary<Packet>
}

/** What a client may send after CONNECT, and its connection stays open. */
export function laterPackets(version: Version): fc.Arbitrary<Packet> {
  return fc.oneof(
    publishOf(version),
    acknowledgementOf(version),
    subscribeOf(version),
    unsubscribeOf(version),
    fc.constant({ cmd: 'pingreq' }),
  ) as unknown as fc.Arbitrary<Packet>
}

/** A DISCONNECT. */
export function disconnectPackets(version: Version): fc.Arbitrary<Packet> {
  const reasonCode = fc.constantFrom(0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x98, 0x99)
  const disconnect = fc.record({
    cmd: fc.constant('disconnect'),
    ...(version === 5 ? { reasonCode } : {}),
  })
  const properties = some({ reasonString: words, userProperties })
  return withProperties(version, disconnect, properties)
}

/** The bytes of a packet, as mqtt-packet writes them. */
export function encode(packet: Packet, version: Version): Buffer {
  return generate(packet, { protocolVersion: version })
}
