import { expect } from 'chai'
import fc from 'fast-check'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import {
  AGAIN,
  decodeEntry,
  decodeEntryMessage,
  decodeMessage,
  decodeNumbered,
  encodeMessage,
  encodeNumbered,
} from '../../../broker/cluster/entries.ts'
import { encodeField } from '../../../broker/fanout/encode-publish.ts'
import { PacketReader } from '../../../broker/gate/packet-reader.ts'
import {
  listUserProperties,
  readUserProperty,
  type UserProperties,
} from '../../../broker/gate/packets/user-properties.ts'
import { keyOf } from '../../../broker/persistence/outgoing-queue.ts'
import { setVersion, versionOf } from '../../../broker/retained/version.ts'

/** Whatever MQTT lets through. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((one) => !/[\p{Control}\p{Noncharacter_Code_Point}]/u.test(one))
const topic = text.map((one) => `t${one.replaceAll(/[+#]/g, '/')}`)
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

const properties = fc.record(
  {
    contentType: text,
    responseTopic: topic,
    correlationData: payload,
    payloadFormatIndicator: fc.boolean(),
    userProperties: fc.dictionary(
      text,
      fc.oneof(text, fc.array(text, { minLength: 2, maxLength: 3 })),
      { noNullPrototype: true, minKeys: 1 },
    ),
  },
  { requiredKeys: [] },
)

const packet: fc.Arbitrary<EmittedPacket> = fc
  .record(
    {
      topic,
      payload,
      qos: fc.constantFrom(0, 1, 2),
      retain: fc.boolean(),
      brokerCounter: fc.nat(),
      properties,
      clientId: text,
      messageExpiry: fc.nat(),
      version: fc.maxSafeNat(),
    },
    { requiredKeys: ['topic', 'payload', 'qos', 'retain', 'brokerCounter'] },
  )
  .map(({ version, ...fields }) => {
    const one: EmittedPacket = { cmd: 'publish', dup: false, brokerId: 'one', ...fields }
    if (version !== undefined) setVersion(one, version)
    return one
  })

/** Without what says nothing: no properties, and none by name. */
function plain(from: EmittedPacket): object {
  const { properties: given = {}, ...others } = from
  const { userProperties, ...named } = given
  const isNamed = Object.keys(userProperties ?? {}).length > 0
  return {
    ...others,
    version: versionOf(from),
    properties: { ...named, ...(isNamed && { userProperties: { ...userProperties } }) },
  }
}

describe('a message in the log', () => {
  it('is the same when it is read again', () => {
    fc.assert(
      fc.property(packet, (sent) => {
        const { head, message } = encodeMessage(sent)
        expect(plain(decodeMessage('one', head, message))).to.deep.equal(plain(sent))
      }),
    )
  })

  it('is the same when it is retained with a number', () => {
    fc.assert(
      fc.property(packet, fc.nat(), (sent, number) => {
        const read = decodeNumbered('one', encodeNumbered(number, encodeMessage(sent)))
        expect(read.number).to.equal(number)
        expect(plain(read.packet)).to.deep.equal(plain(sent))
      }),
    )
  })

  it('keeps the order of its user properties, among those of other names too', () => {
    const pairs = [
      ['b', '1'],
      ['a', '2'],
      ['b', ''],
      ['__proto__', '3'],
    ] as const
    let userProperties: UserProperties | undefined
    for (const [name, value] of pairs) {
      const reader = new PacketReader()
      const bytes = Buffer.concat([encodeField('a name', name), encodeField('a value', value)])
      reader.open(bytes, 0, bytes.length, 5)
      userProperties = readUserProperty(reader, userProperties)
    }
    const sent = { topic: 'a', payload: '', qos: 0, retain: false, brokerCounter: 1 } as const
    const { head, message } = encodeMessage({ ...sent, properties: { userProperties } as object })
    const { properties: read } = decodeMessage('x', head, message)
    expect(listUserProperties(read?.userProperties as UserProperties)).to.deep.equal(pairs)
  })

  it('keeps a payload that is a text', () => {
    const sent = { topic: 'a', payload: 'ü\n1', qos: 0, retain: false, brokerCounter: 1 } as const
    const { head, message } = encodeMessage(sent)
    expect(decodeMessage('x', head, message).payload).to.deep.equal(Buffer.from('ü\n1'))
  })

  it('has a name of its own when it is only retained again', () => {
    const sent = { topic: 'a', payload: '', qos: 1, retain: true } as const
    const names = [7, AGAIN, AGAIN].map((brokerCounter, i) => {
      const entry = { number: i + 1, broker: 'one', ...encodeMessage({ ...sent, brokerCounter }) }
      return keyOf(decodeEntryMessage(entry))
    })
    expect(names).to.deep.equal(['one:7', 'log:2', 'log:3'])
  })

  it('is refused when it is no message', () => {
    expect(() => decodeMessage('x', '{"qos":0}', Buffer.from([1, 2]))).to.throw()
  })

  it('says who wrote it, and which number it has', () => {
    const fields = ['o', 'some broker', 'h', '{}', 'm', ''].map((part) => Buffer.from(part))
    expect(decodeEntry([Buffer.from('90071992547-0'), fields])).to.deep.equal({
      number: 90_071_992_547,
      broker: 'some broker',
      head: '{}',
      message: Buffer.alloc(0),
    })
    expect(() => decodeEntry([Buffer.from('1-0'), fields.slice(0, 4)])).to.throw('lacks a field')
  })
})
