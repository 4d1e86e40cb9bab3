import { connectOf, hex, join, packet, props, text, u16, u32 } from './bytes.ts'
import { cases, connack5, OVERLONG, PAYLOAD, SURROGATE, type Case, type Row } from './cases.ts'

/** The first packet of a connection. */
export const ARRIVALS: readonly Case[] = cases(undefined, [
  ['CONNECT of 3.1', connectOf(3), undefined, 'accepted'],
  [
    'CONNECT of 3.1 with a client id of 100 characters',
    connectOf(3, { payload: [text('x'.repeat(100))] }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 3.1 with flags that it does not use',
    connectOf(3, { first: 0x1b, flags: 3 }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 3.1 whose user name and password are left out',
    connectOf(3, { flags: 0xc2 }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 3.1 without a client id',
    connectOf(3, { payload: [text('')] }),
    'client_id',
    '20020002',
  ],
  ['CONNECT of 3.1.1', connectOf(4), undefined, 'accepted'],
  [
    'CONNECT of 3.1.1 without a client id',
    connectOf(4, { payload: [text('')] }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 3.1.1 with will, user name and password',
    connectOf(4, {
      flags: 0xce,
      payload: [text('p'), text('w'), text(''), text('u'), text(hex('00ff'))],
    }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 3.1.1 without a client id, for a session that is kept',
    connectOf(4, { flags: 0, payload: [text('')] }),
    'client_id',
    '20020002',
  ],
  ['CONNECT of 5', connectOf(5), undefined, 'accepted'],
  [
    'CONNECT of 5 without a client id, for a session that is kept',
    connectOf(5, { flags: 0, payload: [text('')] }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 5 with a password and no user name',
    connectOf(5, { flags: 0x42, payload: [text('p'), text('s')] }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 5 with every property',
    connectOf(5, {
      properties: props(
        0x11,
        u32(9),
        0x21,
        u16(9),
        0x27,
        u32(999),
        0x22,
        u16(9),
        0x19,
        1,
        0x17,
        0,
        0x26,
        text('a'),
        text('b'),
        0x26,
        text('a'),
        text('c'),
      ),
    }),
    undefined,
    'accepted',
  ],
  [
    'CONNECT of 5 with every property of a will',
    connectOf(5, {
      flags: 6,
      payload: [
        text('p'),
        props(
          0x18,
          u32(1),
          1,
          1,
          2,
          u32(9),
          3,
          text('t'),
          8,
          text('r'),
          9,
          text('c'),
          0x26,
          text('a'),
          text('b'),
        ),
        text('w'),
        text('m'),
      ],
    }),
    undefined,
    'accepted',
  ],

  ['PUBLISH before CONNECT', packet(0x30, text('topic'), PAYLOAD), 'first_packet'],
  ['PINGREQ before CONNECT', packet(0xc0), 'first_packet'],
  ['DISCONNECT before CONNECT', packet(0xe0), 'first_packet'],
  ['AUTH before CONNECT', packet(0xf0), 'first_packet'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'first_packet'],
  ['a TLS handshake', hex('1603010200 0100'), 'content'],
  ['CONNECT whose length has five bytes', hex('10 80808080 01'), 'length'],
  [
    'CONNECT of 3.1.1 of 64 KiB',
    connectOf(4, { payload: [text(Buffer.alloc(65_535, 'x'))] }),
    'too_large',
  ],
  [
    'CONNECT of 5 of 64 KiB',
    connectOf(5, { payload: [text(Buffer.alloc(65_535, 'x'))] }),
    'too_large',
    connack5(0x95),
  ],
  [
    'CONNECT of 5 that says it has 256 MB',
    hex('10 ffffff7f 0004 4d515454 05'),
    'too_large',
    connack5(0x95),
  ],
  ['CONNECT of another protocol', connectOf(4, { name: 'MQTU' }), 'protocol_name'],
  ['CONNECT of a protocol without a name', connectOf(4, { name: '' }), 'protocol_name'],
  ['CONNECT of a protocol with a longer name', connectOf(4, { name: 'MQTTT' }), 'protocol_name'],
  ['CONNECT of level 2', connectOf(4, { level: 2 }), 'protocol_level', '20020001'],
  [
    'CONNECT of level 3 by its newer name',
    connectOf(4, { level: 3 }),
    'protocol_level',
    '20020001',
  ],
  [
    'CONNECT of level 4 by its older name',
    connectOf(3, { level: 4 }),
    'protocol_level',
    '20020001',
  ],
  [
    'CONNECT of level 4 as bridges mark it',
    connectOf(4, { level: 0x84 }),
    'protocol_level',
    '20020001',
  ],
  ['CONNECT of level 6', connectOf(5, { level: 6 }), 'protocol_level', connack5(0x84)],
  ['CONNECT of 3.1.1 with flags in its header', connectOf(4, { first: 0x12 }), 'flags'],
  ['CONNECT of 5 with flags in its header', connectOf(5, { first: 0x11 }), 'flags', connack5(0x81)],
  [
    'CONNECT of 5 whose length has more bytes than it needs',
    join([0x10, hex('8e00'), connectOf(5).subarray(2)]),
    'length',
    connack5(0x81),
  ],
  [
    'CONNECT of 3.1.1 whose length has more bytes than it needs',
    join([0x10, hex('8d00'), connectOf(4).subarray(2)]),
    undefined,
    'accepted',
  ],

  ...connectRows('the reserved flag', { flags: 3 }, 'connect_flags', 0x81),
  ...connectRows('a will QoS and no will', { flags: 0x0a }, 'connect_flags', 0x81),
  ...connectRows('a retained will and no will', { flags: 0x22 }, 'connect_flags', 0x81),
  ...willRows('QoS 3', 'topic', 'connect_flags', 0x81, 0x1e),
  ...willRows('no topic', '', 'will', 0x81),
  ...willRows('a wildcard in its topic', 'a/#', 'will', 0x81),
  ...willRows('another wildcard in its topic', 'a/+/b', 'will', 0x81),
  ...willRows('NUL in its topic', 'a\0b', 'text', 0x81),
  ...willRows('a surrogate in its topic', SURROGATE, 'text', 0x81),
  ...willRows('too many levels', '/'.repeat(40), 'will', 0x90),
  [
    'CONNECT of 3.1.1 with a password and no user name',
    connectOf(4, { flags: 0x42, payload: [text('p'), text('s')] }),
    'connect_flags',
  ],
  ...connectRows('no client id field', { payload: [] }, 'content', 0x81),
  ...connectRows('more than its fields', { payload: [text('p'), text('q')] }, 'content', 0x81),
  ...connectRows(
    'a user name that is cut off',
    { flags: 0x82, payload: [text('p'), u16(5), text('u')] },
    'content',
    0x81,
  ),
  ...connectRows('a user name that is missing', { flags: 0x82 }, 'content', 0x81),
  ...connectRows(
    'a password that is missing',
    { flags: 0xc2, payload: [text('p'), text('u')] },
    'content',
    0x81,
  ),
  ...connectRows('a will that is missing', { flags: 6 }, 'content', 0x81),
  ...connectRows('NUL in its client id', { payload: [text('a\0b')] }, 'text', 0x81),
  ...connectRows('a surrogate in its client id', { payload: [text(SURROGATE)] }, 'text', 0x81),
  ...connectRows(
    'an overlong character in its client id',
    { payload: [text(OVERLONG)] },
    'text',
    0x81,
  ),
  ...connectRows(
    'a control character in its client id',
    { payload: [text('a\x1f')] },
    'text',
    0x81,
  ),
  ...connectRows(
    'NUL in its user name',
    { flags: 0x82, payload: [text('p'), text('a\0')] },
    'text',
    0x81,
  ),
  ...connectRows(
    'half a character in its user name',
    { flags: 0x82, payload: [text('p'), text(hex('c3'))] },
    'text',
    0x81,
  ),

  ...connectProps('session expiry twice', [0x11, u32(1), 0x11, u32(1)], 'property', 0x82),
  ...connectProps('a property that is cut off', [0x11, 0], 'content', 0x81),
  ...connectProps('receive maximum 0', [0x21, u16(0)], 'property', 0x82),
  ...connectProps('maximum packet size 0', [0x27, u32(0)], 'property', 0x82),
  ...connectProps('request problem information 2', [0x17, 2], 'property', 0x82),
  ...connectProps('request response information 2', [0x19, 2], 'property', 0x82),
  ...connectProps('a property of PUBLISH', [0x01, 1], 'property', 0x81),
  ...connectProps('a property of CONNACK', [0x24, 1], 'property', 0x81),
  ...connectProps('a property that nobody knows', [0x7f, 1], 'property', 0x81),
  ...connectProps('a property of two bytes', [hex('a600'), text('a'), text('b')], 'property', 0x81),
  ...connectProps('half a user property', [0x26, text('a')], 'content', 0x81),
  ...connectProps('an authentication method', [0x15, text('SCRAM')], 'authentication', 0x8c),
  ...connectProps('authentication data and no method', [0x16, text('x')], 'authentication', 0x82),
  [
    'CONNECT of 5 with properties longer than the packet',
    connectOf(5, { properties: hex('40') }),
    'content',
    connack5(0x81),
  ],
  [
    'CONNECT of 5 with properties whose length has more bytes than it needs',
    connectOf(5, { properties: hex('8000') }),
    'length',
    connack5(0x81),
  ],
  [
    'CONNECT of 5 with properties whose length has five bytes',
    connectOf(5, { properties: hex('8080808001') }),
    'length',
    connack5(0x81),
  ],
  [
    'CONNECT of 5 with will delay among its own properties',
    connectOf(5, { properties: props(0x18, u32(1)) }),
    'property',
    connack5(0x81),
  ],
  [
    'CONNECT of 5 with a wildcard in the response topic of its will',
    connectOf(5, { flags: 6, payload: [text('p'), props(8, text('a/+')), text('w'), text('m')] }),
    'property',
    connack5(0x82),
  ],
  [
    'CONNECT of 5 with a will that says it is text, and is none',
    connectOf(5, {
      flags: 6,
      payload: [text('p'), props(1, 1), text('w'), text(hex('ff'))],
    }),
    'payload_format',
    connack5(0x99),
  ],
])

function connectRows(
  title: string,
  parts: Parameters<typeof connectOf>[1],
  refused: string,
  reason: number,
): Row[] {
  return [
    [`CONNECT of 3.1.1 with ${title}`, connectOf(4, parts), refused],
    [`CONNECT of 5 with ${title}`, connectOf(5, withWillProps(parts)), refused, connack5(reason)],
  ]
}

/** In version 5 the will has properties between client id and topic. */
function withWillProps(parts: Parameters<typeof connectOf>[1] = {}): typeof parts {
  const { flags = 2, payload } = parts
  const [clientId = [], ...rest] = payload ?? [text('p')]
  return (flags & 4) === 0 || payload?.length === 0 || rest.length === 0
    ? parts
    : { ...parts, payload: [clientId, props(), ...rest] }
}

function willRows(
  title: string,
  topic: string | Buffer,
  refused: string,
  reason: number,
  flags = 6,
): Row[] {
  const parts = { flags, payload: [text('p'), text(topic), text('m')] }
  return connectRows(`a will with ${title}`, parts, refused, reason)
}

function connectProps(
  title: string,
  parts: Parameters<typeof props>,
  refused: string,
  reason: number,
): Row[] {
  return [
    [
      `CONNECT of 5 with ${title}`,
      connectOf(5, { properties: props(...parts) }),
      refused,
      connack5(reason),
    ],
  ]
}
