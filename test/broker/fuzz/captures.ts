import { generate, type Packet } from 'mqtt-packet'
import type { Random } from '../../helpers/random.ts'

export type Version = 3 | 4 | 5

const PROPERTIES = {
  publish: {
    payloadFormatIndicator: true,
    messageExpiryInterval: 60,
    topicAlias: 3,
    responseTopic: 'answers',
    correlationData: Buffer.from('1'),
    userProperties: { a: 'b' },
    contentType: 'text/plain',
  },
  connect: {
    sessionExpiryInterval: 5,
    receiveMaximum: 10,
    maximumPacketSize: 5000,
    topicAliasMaximum: 5,
  },
} as const

/** A valid CONNECT. */
export function captureConnect(version: Version, clientId: string, random: Random): Buffer {
  return generate(
    {
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      clientId,
      username: 'fuzz',
      clean: random.chance(0.7),
      keepalive: random.pick([0, 1, 60, 65_535]),
      ...(random.chance(0.5) && {
        will: {
          topic: 'fuzz/will',
          payload: Buffer.from('x'),
          qos: random.pick([0, 1, 2] as const),
          retain: random.chance(0.3),
          ...(version === 5 && { properties: { willDelayInterval: random.below(2) } }),
        },
      }),
      ...(version === 5 && random.chance(0.5) && { properties: PROPERTIES.connect }),
    },
    { protocolVersion: version },
  )
}

/** A valid packet of any type but CONNECT; those of a server too. */
export function capture(version: Version, random: Random): Buffer {
  const messageId = 1 + random.below(20)
  const five = version === 5
  const topic = random.pick(['fuzz/a', 'fuzz/b', 'fuzz/a/b/c', '/', 'fuzz//x'])
  const filter = random.pick([
    'fuzz/#',
    'fuzz/+',
    '+/a',
    '#',
    '$share/g/fuzz/#',
    'fuzz/a',
    '__proto__',
  ])
  const qos = random.pick([0, 1, 2] as const)
  const publish = {
    cmd: 'publish',
    topic,
    payload: Buffer.alloc(random.pick([0, 1, 20, 500]), 'x'),
    qos,
    messageId,
    retain: random.chance(0.2),
    dup: qos > 0 && random.chance(0.2),
    ...(five && random.chance(0.4) && { properties: PROPERTIES.publish }),
  } as const
  const packet: Packet = random.pick<() => Packet>([
    () => publish,
    () => publish,
    () => publish,
    () => ({ ...publish, qos: 2 }),
    () => ({
      cmd: 'subscribe',
      messageId,
      subscriptions: [
        { topic: filter, qos, ...(five && { nl: false, rap: true, rh: random.below(3) }) },
      ],
      ...(five &&
        random.chance(0.5) && { properties: { subscriptionIdentifier: 1 + random.below(300) } }),
    }),
    () => ({ cmd: 'unsubscribe', messageId, unsubscriptions: [filter] }),
    () => ({ cmd: 'puback', messageId }),
    () => ({ cmd: 'pubrec', messageId }),
    () => ({ cmd: 'pubrel', messageId }),
    () => ({ cmd: 'pubcomp', messageId }),
    () => ({ cmd: 'pingreq' }),
    () => ({ cmd: 'pingresp' }),
    () => ({ cmd: 'disconnect' }),
    () => ({ cmd: 'suback', messageId, granted: [0] }),
    () => ({ cmd: 'unsuback', messageId, granted: [0] }),
  ])()
  return generate(packet, { protocolVersion: version })
}

/** Bytes that are a little, or very, wrong. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  const times = 1 + random.below(3)
  let result = copy
  for (let i = 0; i < times; i++) {
    const at = random.below(Math.max(1, result.length))
    switch (random.below(6)) {
      case 0:
        if (result.length > 0) result[at] = random.below(256)
        break
      case 1:
        if (result.length > 0) result[at] = (result[at] ?? 0) ^ (1 << random.below(8))
        break
      case 2:
        result = result.subarray(0, at)
        break
      case 3:
        result = Buffer.concat([
          result.subarray(0, at),
          Buffer.from([0, 0xff, 0x7f][random.below(3)] === 0 ? [0] : [0xff, 0xff]),
          result.subarray(at),
        ])
        break
      case 4:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1)])
        break
      default:
        result = Buffer.concat([result, result.subarray(0, at)])
    }
  }
  return result
}

/** A PUBLISH whose topic has very many levels, or is very long. */
export function topicBomb(version: Version, random: Random): Buffer {
  const topic = random.pick([
    '/'.repeat(60_000),
    'a/'.repeat(30_000),
    'x'.repeat(65_000),
    '/'.repeat(99),
  ])
  const packet = { cmd: 'publish', topic, payload: '', qos: 0, retain: true, dup: false } as const
  return generate(packet, { protocolVersion: version })
}
