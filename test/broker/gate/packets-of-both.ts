import { connectOf, hex, packet, props, text, u16 } from './bytes.ts'
import { ID, inBoth, NON_CHARACTER, OVERLONG, publish, SURROGATE, type Case } from './cases.ts'

function publishBoth(
  title: string,
  first: number,
  topic: string | Buffer,
  id: readonly Buffer[],
  refused: string,
  reason: number,
) {
  return [
    title,
    publish(4, first, topic, id),
    publish(5, first, topic, id),
    refused,
    reason,
  ] as const
}

/** A packet with an identifier and what follows it. */
function both(
  title: string,
  first: number,
  id: Buffer,
  rest: Parameters<typeof props>,
  refused: string,
  reason: number,
) {
  return [
    title,
    packet(first, id, ...rest),
    packet(first, id, props(), ...rest),
    refused,
    reason,
  ] as const
}

function same(title: string, bytes: Buffer, refused: string, reason: number) {
  return [title, bytes, bytes, refused, reason] as const
}

function filter(title: string, topic: string | Buffer, refused: string, reason: number) {
  return [
    both(`SUBSCRIBE with ${title}`, 0x82, ID, [text(topic), 0], refused, reason),
    both(`UNSUBSCRIBE with ${title}`, 0xa2, ID, [text(topic)], refused, reason),
  ]
}

/** What 3.1.1 and 5 refuse alike. */
export const IN_BOTH: readonly Case[] = inBoth([
  same('a second CONNECT', connectOf(4), 'second_connect', 0x82),
  same('packet type 0', packet(0x00), 'packet_type', 0x81),
  same('CONNACK', hex('20020000'), 'packet_type', 0x82),
  same('SUBACK', hex('9003123400'), 'packet_type', 0x82),
  same('UNSUBACK', hex('b0021234'), 'packet_type', 0x82),
  same('PINGRESP', hex('d000'), 'packet_type', 0x82),
  same('AUTH', hex('f000'), 'packet_type', 0x82),
  same('PINGREQ with flags', hex('c100'), 'flags', 0x81),
  same('PINGREQ with content', hex('c00100'), 'content', 0x81),
  same('DISCONNECT with flags', hex('e200'), 'flags', 0x81),
  same('PUBACK with flags', hex('41021234'), 'flags', 0x81),
  same('PUBREC with flags', hex('52021234'), 'flags', 0x81),
  same('PUBREL without its flag', hex('60021234'), 'flags', 0x81),
  same('PUBCOMP with flags', hex('78021234'), 'flags', 0x81),
  same('SUBSCRIBE without its flag', hex('80021234'), 'flags', 0x81),
  same('SUBSCRIBE sent again', hex('8a021234'), 'flags', 0x81),
  same('UNSUBSCRIBE without its flag', hex('a0021234'), 'flags', 0x81),
  same('PUBACK of id 0', hex('40020000'), 'packet_id', 0x82),
  same('PUBREL of id 0', hex('62020000'), 'packet_id', 0x82),
  same('PUBACK without an id', hex('4000'), 'content', 0x81),
  same('PUBREC of one byte', hex('500112'), 'content', 0x81),
  same('a length of five bytes', hex('30 80808080 01'), 'length', 0x81),
  same('PUBLISH of more than 2 MiB', hex('30 80808001'), 'too_large', 0x95),
  publishBoth('PUBLISH with QoS 3', 0x36, 'topic', [ID], 'flags', 0x81),
  publishBoth('PUBLISH sent again with QoS 0', 0x38, 'topic', [], 'flags', 0x81),
  publishBoth('PUBLISH with + in its topic', 0x30, 'a/+', [], 'topic', 0x81),
  publishBoth('PUBLISH with # in its topic', 0x30, 'a#b', [], 'topic', 0x81),
  publishBoth('PUBLISH with NUL in its topic', 0x30, 'a\0b', [], 'text', 0x81),
  publishBoth('PUBLISH with a surrogate in its topic', 0x30, SURROGATE, [], 'text', 0x81),
  publishBoth('PUBLISH with an overlong character in its topic', 0x30, OVERLONG, [], 'text', 0x81),
  publishBoth('PUBLISH with half a character in its topic', 0x30, hex('61 e282'), [], 'text', 0x81),
  publishBoth('PUBLISH with a character above U+10FFFF', 0x30, hex('f4908080'), [], 'text', 0x81),
  publishBoth('PUBLISH with a control character in its topic', 0x30, 'a\tb', [], 'text', 0x81),
  publishBoth('PUBLISH with U+009F in its topic', 0x30, 'a\u009f', [], 'text', 0x81),
  publishBoth('PUBLISH with U+FFFF in its topic', 0x30, NON_CHARACTER, [], 'text', 0x81),
  publishBoth('PUBLISH with 41 levels', 0x30, '/'.repeat(40), [], 'topic', 0x90),
  publishBoth('PUBLISH with QoS 1 and id 0', 0x32, 'topic', [u16(0)], 'packet_id', 0x82),
  publishBoth('PUBLISH with QoS 2 and id 0', 0x34, 'topic', [u16(0)], 'packet_id', 0x82),
  same('PUBLISH with less than its topic', packet(0x30, u16(9), text('a')), 'content', 0x81),
  same('PUBLISH without a topic field', packet(0x30), 'content', 0x81),
  same('PUBLISH with QoS 1 and no id', packet(0x32, text('topic')), 'content', 0x81),
  both('SUBSCRIBE with id 0', 0x82, u16(0), [text('a'), 0], 'packet_id', 0x82),
  both('SUBSCRIBE without a filter', 0x82, ID, [], 'filter', 0x82),
  both('SUBSCRIBE without options', 0x82, ID, [text('a')], 'content', 0x81),
  both('SUBSCRIBE with half a filter', 0x82, ID, [u16(4), Buffer.from('a')], 'content', 0x81),
  both('SUBSCRIBE with a byte too many', 0x82, ID, [text('a'), 0, 0], 'content', 0x81),
  both('SUBSCRIBE with QoS 3', 0x82, ID, [text('a'), 3], 'subscription_options', 0x82),
  both(
    'SUBSCRIBE with a reserved option',
    0x82,
    ID,
    [text('a'), 0x40],
    'subscription_options',
    0x81,
  ),
  both(
    'SUBSCRIBE with another reserved option',
    0x82,
    ID,
    [text('a'), 0x80],
    'subscription_options',
    0x81,
  ),
  both(
    'SUBSCRIBE with a bad filter behind a good one',
    0x82,
    ID,
    [text('a'), 0, text('#/a'), 0],
    'filter',
    0x81,
  ),
  both('UNSUBSCRIBE with id 0', 0xa2, u16(0), [text('a')], 'packet_id', 0x82),
  both('UNSUBSCRIBE without a filter', 0xa2, ID, [], 'filter', 0x82),
  ...filter('an empty filter', '', 'filter', 0x81),
  ...filter('# before the end', 'a/#/b', 'filter', 0x81),
  ...filter('# behind other characters', 'ab#', 'filter', 0x81),
  ...filter('## as a level', 'a/##', 'filter', 0x81),
  ...filter('+ behind other characters', 'ab+/c', 'filter', 0x81),
  ...filter('+ before other characters', 'ab/+e', 'filter', 0x81),
  ...filter('++ as a level', '++', 'filter', 0x81),
  ...filter('NUL', 'a\0', 'text', 0x81),
  ...filter('a surrogate', SURROGATE, 'text', 0x81),
  ...filter('41 levels', '+/'.repeat(40), 'filter', 0x8f),
])
