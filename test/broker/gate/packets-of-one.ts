import { connectOf, hex, join, packet, props, text, u16, u32, varint } from './bytes.ts'
import { cases, ID, PAYLOAD, publish, type Case, type Row } from './cases.ts'

function publish5(
  title: string,
  properties: Parameters<typeof props>,
  refused: string,
  reason: number,
  topic = 'topic',
): Row {
  const bytes = packet(0x32, text(topic), ID, props(...properties), PAYLOAD)
  return [`PUBLISH with ${title}`, bytes, refused, `e001${reason.toString(16)}`]
}

function bad5(title: string, bytes: Buffer, refused: string, reason: number): Row {
  return [title, bytes, refused, `e001${reason.toString(16)}`]
}

const TWICE_311 = packet(0x82, ID, text('s1'), 0, text('s1'), 1)
const NO_TEXT = hex('ff')

/** What only 3.1 does. */
export const ONLY_IN_31: readonly Case[] = cases(3, [
  ['SUBSCRIBE sent again', packet(0x8a, ID, text('a'), 1), undefined, '9003123401'],
  ['UNSUBSCRIBE sent again', packet(0xaa, ID, text('a')), undefined, 'b0021234'],
  ['PUBREL sent again', packet(0x6a, ID), undefined, '70021234'],
  ['SUBSCRIBE with QoS 3', packet(0x82, ID, text('a'), 3), 'subscription_options'],
  ['PUBLISH with QoS 3', publish(4, 0x36, 'topic', [ID]), 'flags'],
  ['PUBLISH with an empty topic', publish(4, 0x30, ''), 'topic'],
  ['a second CONNECT', connectOf(3), 'second_connect'],
])

/** What only 3.1.1 does, and what is right in it. */
export const ONLY_IN_311: readonly Case[] = cases(4, [
  ['PUBLISH with QoS 0', publish(4, 0x30, 'topic')],
  ['PUBLISH without a payload', packet(0x31, text('topic'))],
  ['PUBLISH with QoS 1', publish(4, 0x32, 'topic', [ID]), undefined, '40021234'],
  ['PUBLISH with QoS 1 sent again', publish(4, 0x3a, 'topic', [ID]), undefined, '40021234'],
  ['PUBLISH with QoS 2', publish(4, 0x34, 'topic', [ID]), undefined, '50021234'],
  ['PUBLISH with characters beyond U+FFFF', publish(4, 0x30, 'A𪛔/안녕')],
  ['PUBLISH whose length has more bytes than it needs', join([0x30, hex('8300'), text('a')])],
  ['PUBREL of an id that nobody knows', packet(0x62, ID), undefined, '70021234'],
  ['SUBSCRIBE', packet(0x82, ID, text('a/+/#'), 0), undefined, '9003123400'],
  [
    'SUBSCRIBE with two filters',
    packet(0x82, ID, text('/'), 1, text('x/#'), 2),
    undefined,
    '900412340102',
  ],
  [
    'SUBSCRIBE with a shared filter',
    packet(0x82, ID, text('$share/group/s'), 1),
    undefined,
    '9003123401',
  ],
  [
    'SUBSCRIBE with a shared filter behind another',
    packet(0x82, ID, text('s'), 1, text('$share/group/s'), 1),
    undefined,
    '900412340101',
  ],
  ['SUBSCRIBE with one filter twice', TWICE_311, undefined, '900412340001'],
  [
    'SUBSCRIBE with filters that are numbers',
    packet(0x82, ID, text('s1'), 1, text('2'), 2, text('1'), 0),
    undefined,
    '90051234010200',
  ],
  [
    'SUBSCRIBE with __proto__ among others',
    packet(0x82, ID, text('s1'), 1, text('__proto__'), 2, text('s2'), 0),
    undefined,
    '90051234010200',
  ],
  ['UNSUBSCRIBE', packet(0xa2, ID, text('a/+')), undefined, 'b0021234'],
  [
    'UNSUBSCRIBE with __proto__ among others',
    packet(0xa2, ID, text('s1'), text('__proto__')),
    undefined,
    'b0021234',
  ],
  ['PUBACK of an id that nobody knows', packet(0x40, ID)],
  ['PUBREC of an id that nobody knows', packet(0x50, ID), undefined, '62021234'],
  ['PUBCOMP of an id that nobody knows', packet(0x70, ID)],
  ['PUBLISH with an empty topic', publish(4, 0x30, ''), 'topic'],
  ['PUBACK with a byte too many', packet(0x40, ID, 0), 'content'],
  ['DISCONNECT with content', packet(0xe0, 0), 'content'],
  ['SUBSCRIBE with an option of 5', packet(0x82, ID, text('a'), 4), 'subscription_options'],
])

/** What only 5 does, and what is right in it. */
export const ONLY_IN_5: readonly Case[] = cases(5, [
  ['PUBLISH with QoS 0', publish(5, 0x30, 'topic')],
  ['PUBLISH with QoS 2', publish(5, 0x34, 'topic', [ID]), undefined, '500412340000'],
  [
    'PUBLISH with every property',
    packet(
      0x30,
      text('topic'),
      props(
        1,
        1,
        2,
        u32(9),
        3,
        text('t'),
        8,
        text('r'),
        9,
        text(hex('00')),
        0x26,
        text(''),
        text(''),
        0x23,
        u16(1),
      ),
      PAYLOAD,
    ),
  ],
  [
    'an alias, and what it stands for',
    join([
      packet(0x30, text('topic'), props(0x23, u16(100))),
      packet(0x30, text(''), props(0x23, u16(100))),
    ]),
  ],
  [
    'SUBSCRIBE with every option',
    packet(0x82, ID, props(0x0b, varint(268_435_455), 0x26, text('a'), text('b')), text('a'), 0x2e),
    undefined,
    '900412340002',
  ],
  [
    'SUBSCRIBE with a shared filter',
    packet(0x82, ID, props(), text('$share/group/s'), 1),
    undefined,
    '900412340001',
  ],
  [
    'UNSUBSCRIBE with a user property',
    packet(0xa2, ID, props(0x26, text('a'), text('b')), text('a')),
    undefined,
    'b00412340011',
  ],
  [
    'PUBREL with a reason and properties',
    packet(0x62, ID, 0x92, props(0x1f, text('why'))),
    undefined,
    '70021234',
  ],
  ['PUBACK with a reason', packet(0x40, ID, 0x10)],
  [
    'SUBSCRIBE with one filter twice',
    packet(0x82, ID, props(), text('s1'), 0, text('s1'), 1),
    undefined,
    '90051234000001',
  ],
  [
    'UNSUBSCRIBE with one filter twice',
    packet(0xa2, ID, props(), text('x'), text('x')),
    undefined,
    'b0051234001111',
  ],
  ['PUBLISH with text that is text', packet(0x30, text('topic'), props(1, 1), Buffer.from('한'))],
  ['PUBLISH with bytes that are not', packet(0x30, text('topic'), props(1, 0), NO_TEXT)],
  bad5(
    'PUBLISH with text that is none',
    packet(0x30, text('topic'), props(1, 1), NO_TEXT),
    'payload_format',
    0x99,
  ),

  bad5('PUBLISH with an empty topic and no alias', publish(5, 0x30, ''), 'topic', 0x82),
  bad5(
    'PUBLISH whose length has more bytes than it needs',
    join([0x30, hex('8400'), text('a'), 0]),
    'length',
    0x81,
  ),
  publish5('an alias that stands for nothing', [0x23, u16(7)], 'topic_alias', 0x82, ''),
  publish5('alias 0', [0x23, u16(0)], 'topic_alias', 0x94),
  publish5('an alias above the highest', [0x23, u16(101)], 'topic_alias', 0x94),
  publish5('two aliases', [0x23, u16(1), 0x23, u16(1)], 'property', 0x82),
  publish5('a property that is cut off', [8], 'content', 0x81),
  publish5('a property that reaches into the payload', [8, u16(3)], 'content', 0x81),
  publish5('payload format 2', [1, 2], 'property', 0x82),
  publish5('payload format twice', [1, 1, 1, 1], 'property', 0x82),
  publish5('message expiry twice', [2, u32(1), 2, u32(1)], 'property', 0x82),
  publish5('half a message expiry', [2, u16(1)], 'content', 0x81),
  publish5('content type twice', [3, text('a'), 3, text('a')], 'property', 0x82),
  publish5('NUL in its content type', [3, text('\0')], 'text', 0x81),
  publish5('response topic twice', [8, text('a'), 8, text('a')], 'property', 0x82),
  publish5('a wildcard in its response topic', [8, text('a/#')], 'property', 0x82),
  publish5('an empty response topic', [8, text('')], 'property', 0x82),
  publish5('correlation data twice', [9, text('a'), 9, text('a')], 'property', 0x82),
  publish5('a subscription identifier', [0x0b, 1], 'property', 0x81),
  publish5('a property of CONNECT', [0x11, u32(1)], 'property', 0x81),
  publish5('a property of a will', [0x18, u32(1)], 'property', 0x81),
  publish5('property 0', [0], 'property', 0x81),
  publish5('ill-formed text in a user property', [0x26, text('a'), text(hex('ff'))], 'text', 0x81),
  publish5(
    'a control character in a user property',
    [0x26, text('a'), text('b\x07')],
    'text',
    0x81,
  ),
  bad5(
    'PUBLISH with properties longer than the packet',
    packet(0x30, text('a'), hex('05'), 1, 1),
    'content',
    0x81,
  ),
  bad5('PUBLISH without the length of its properties', packet(0x30, text('a')), 'content', 0x81),
  bad5(
    'SUBSCRIBE with identifier 0',
    packet(0x82, ID, props(0x0b, 0), text('a'), 0),
    'property',
    0x82,
  ),
  bad5(
    'SUBSCRIBE with two identifiers',
    packet(0x82, ID, props(0x0b, 1, 0x0b, 2), text('a'), 0),
    'property',
    0x82,
  ),
  bad5(
    'SUBSCRIBE with an identifier that is cut off',
    packet(0x82, ID, props(0x0b), text('a'), 0),
    'content',
    0x81,
  ),
  bad5(
    'SUBSCRIBE with an identifier of more bytes than it needs',
    packet(0x82, ID, props(0x0b, hex('8000')), text('a'), 0),
    'length',
    0x81,
  ),
  bad5(
    'SUBSCRIBE with a property of PUBLISH',
    packet(0x82, ID, props(1, 1), text('a'), 0),
    'property',
    0x81,
  ),
  bad5(
    'SUBSCRIBE with retain handling 3',
    packet(0x82, ID, props(), text('a'), 0x30),
    'subscription_options',
    0x82,
  ),
  bad5(
    'SUBSCRIBE to a shared filter without its own messages',
    packet(0x82, ID, props(), text('$share/g/a'), 4),
    'subscription_options',
    0x82,
  ),
  bad5(
    'SUBSCRIBE to a shared filter without a group',
    packet(0x82, ID, props(), text('$share//a'), 0),
    'filter',
    0x81,
  ),
  bad5(
    'SUBSCRIBE to a shared filter with a wildcard as its group',
    packet(0x82, ID, props(), text('$share/+/a'), 0),
    'filter',
    0x81,
  ),
  bad5(
    'SUBSCRIBE to a group and no filter',
    packet(0x82, ID, props(), text('$share/g/'), 0),
    'filter',
    0x81,
  ),
  bad5(
    'SUBSCRIBE to a group alone',
    packet(0x82, ID, props(), text('$share/g'), 0),
    'filter',
    0x81,
  ),
  bad5(
    'UNSUBSCRIBE with a subscription identifier',
    packet(0xa2, ID, props(0x0b, 1), text('a')),
    'property',
    0x81,
  ),
  bad5('PUBACK with a reason of PUBREL', packet(0x40, ID, 0x92), 'reason_code', 0x82),
  bad5('PUBREC with a reason that does not exist', packet(0x50, ID, 0x01), 'reason_code', 0x82),
  bad5('PUBREL with a reason of PUBACK', packet(0x62, ID, 0x10), 'reason_code', 0x82),
  bad5('PUBCOMP with a property of PUBLISH', packet(0x70, ID, 0, props(1, 1)), 'property', 0x81),
  bad5(
    'PUBACK with two reason strings',
    packet(0x40, ID, 0, props(0x1f, text('a'), 0x1f, text('b'))),
    'property',
    0x82,
  ),
  bad5('PUBACK with more than its properties', packet(0x40, ID, 0, props(), 0), 'content', 0x81),
  bad5('DISCONNECT with a reason of servers', packet(0xe0, 0x8b), 'reason_code', 0x82),
  bad5('DISCONNECT with a reason that does not exist', packet(0xe0, 0x05), 'reason_code', 0x82),
  bad5('DISCONNECT with a property that is cut off', packet(0xe0, 0, props(0x11)), 'content', 0x81),
  bad5('DISCONNECT with more than its properties', packet(0xe0, 0, props(), 0), 'content', 0x81),
  bad5(
    'DISCONNECT with a property of CONNECT',
    packet(0xe0, 0, props(0x21, u16(1))),
    'property',
    0x81,
  ),
  bad5(
    'DISCONNECT that would keep a session that ends',
    packet(0xe0, 0, props(0x11, u32(1))),
    'session_expiry',
    0x82,
  ),
])
