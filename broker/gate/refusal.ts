/** What a packet was refused for; each kind is counted by itself. */
export const REFUSAL_KINDS = [
  /** The first packet is not CONNECT. */
  'first_packet',
  'second_connect',
  'protocol_name',
  'protocol_level',
  'connect_flags',
  'client_id',
  'will',
  /** A version 5 authentication method; there are none here. */
  'authentication',
  /** Reserved, or a server's. */
  'packet_type',
  /** Flags of the fixed header. */
  'flags',
  /** A length that is not encoded as the specification says. */
  'length',
  'too_large',
  /** Less than the packet's fields need, or more. */
  'content',
  /** Not UTF-8, or characters that the specification lets a server refuse. */
  'text',
  'packet_id',
  'topic',
  'topic_alias',
  'filter',
  'subscription_options',
  'property',
  'reason_code',
  'session_expiry',
  /** An acknowledgement that does not fit what the client was sent. */
  'acknowledgement',
  /** So many filters that the answer would be above the client's maximum packet size. */
  'answer_too_large',
  /** A payload or will that says it is UTF-8, and is not. */
  'payload_format',
  /** No CONNECT in time. */
  'connect_timeout',
  /** A packet that was begun is not completed in time. */
  'packet_timeout',
] as const

export type RefusalKind = (typeof REFUSAL_KINDS)[number]

/** Reason codes of version 5. */
export const MALFORMED = 0x81
export const PROTOCOL_ERROR = 0x82
export const UNSUPPORTED_VERSION = 0x84
export const BAD_AUTHENTICATION_METHOD = 0x8c
export const KEEPALIVE_TIMEOUT = 0x8d
export const TOPIC_FILTER_INVALID = 0x8f
export const TOPIC_NAME_INVALID = 0x90
export const TOPIC_ALIAS_INVALID = 0x94
export const PACKET_TOO_LARGE = 0x95
export const QUOTA_EXCEEDED = 0x97
export const PAYLOAD_FORMAT_INVALID = 0x99

/** CONNACK return codes of 3.1 and 3.1.1. */
export const UNACCEPTABLE_LEVEL = 1
export const IDENTIFIER_REJECTED = 2

/** Why a connection is closed. */
export interface Refusal {
  readonly kind: RefusalKind
  /** What a version 5 client is told. */
  readonly reasonCode: number
  /** What a 3.1 or 3.1.1 client is told of its CONNECT; mostly the connection is closed without a word. */
  readonly returnCode?: number
  /** What was wrong, in one sentence, where more is known of it than the kind. */
  readonly words?: string
}

/** MQTT 3.1, 3.1.1 and 5, by their protocol level. */
export type Version = 3 | 4 | 5

/** The CONNACK that refuses a CONNECT; undefined where the specification has the connection closed only. */
export function refusingConnack(
  version: Version | undefined,
  { reasonCode, returnCode }: Refusal,
): Buffer | undefined {
  if (version === 5) return Buffer.from([0x20, 3, 0, reasonCode, 0])
  return returnCode === undefined ? undefined : Buffer.from([0x20, 2, 0, returnCode])
}

/** The DISCONNECT that ends a connection; 3.1 and 3.1.1 have none for servers. */
export function refusingDisconnect(
  version: Version | undefined,
  { reasonCode }: Refusal,
): Buffer | undefined {
  return version === 5 ? Buffer.from([0xe0, 1, reasonCode]) : undefined
}
