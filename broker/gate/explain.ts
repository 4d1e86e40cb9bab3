import type { Refusal, RefusalKind } from './refusal.ts'

/** Says in one sentence what was wrong, for the log. */
export function explain({ kind, words }: Refusal): string {
  return words ?? WORDS[kind]
}

const WORDS: Readonly<Record<RefusalKind, string>> = {
  first_packet: 'expected CONNECT as the first packet, got something else',
  second_connect: 'expected one CONNECT, got another one',
  protocol_name: 'expected the protocol name MQTT or MQIsdp, got another one',
  protocol_level: 'expected MQTT 3.1, 3.1.1 or 5, got another version',
  connect_flags: 'expected flags of CONNECT that go together, got others',
  client_id: 'expected a client id or a clean session, got neither',
  will: 'expected the name of a topic, not too deep, in the will, got something else',
  authentication: 'expected no authentication method, got one',
  packet_type: 'expected a packet that a client may send, got another one',
  flags: 'expected the flags of this kind of packet, got others',
  length: 'expected a length of one to four bytes, got something else',
  too_large: 'expected a smaller packet, got too large a one',
  content: 'expected exactly the fields of this kind of packet, got less or more',
  text: 'expected UTF-8 without control characters and noncharacters, got something else',
  packet_id: 'expected a packet id from 1, got 0',
  topic: 'expected the name of a topic, not too deep, got something else',
  topic_alias: 'expected a topic alias within what was agreed upon, got another one',
  filter: 'expected filters of topics, at least one and none too deep, got something else',
  subscription_options: 'expected options of a subscription, got others',
  property: 'expected properties of this kind of packet, each once, got something else',
  reason_code: 'expected a reason code of this kind of packet, got another one',
  session_expiry: 'expected no session expiry where CONNECT had none, got one',
  acknowledgement: 'expected the acknowledgement of what was sent, got another one',
  answer_too_large: 'expected so few filters that the client takes the answer, got more',
  payload_format: 'expected a payload of UTF-8, as the packet says, got something else',
  connect_timeout: 'expected CONNECT in time, got none',
  packet_timeout: 'expected the rest of a packet in time, got a part',
}
