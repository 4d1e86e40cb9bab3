import type { AedesPublishPacket } from 'aedes'
import { generate, type IPublishPacket } from 'mqtt-packet'

type Properties = NonNullable<IPublishPacket['properties']>

/** What may differ between two readers of one message. */
export interface Variant {
  readonly version5: boolean
  readonly retain: boolean
  /** Version 5: the identifiers of the reader's matching subscriptions. */
  readonly identifiers: readonly number[]
}

/** One message, encoded as its readers need it. */
export interface Message {
  /** As QoS 0: the same bytes for all readers with equal needs. Undefined when it cannot be encoded. */
  plain(variant: Variant): Buffer | undefined
  /** As QoS 1 or 2: for one reader. Undefined when it cannot be encoded. */
  numbered(variant: Variant, qos: 1 | 2, messageId: number, dup?: boolean): Buffer | undefined
  /** Why it could not be encoded; only what an embedder publishes can be so wrong. */
  readonly failure: Error | undefined
}

/** Prepares a published packet for its readers; nothing is encoded before it is asked for. */
export function createMessage(packet: AedesPublishPacket): Message {
  const shared: (Buffer | undefined)[] = []
  let properties: Properties | undefined
  let failure: Error | undefined

  function encode(
    { version5, retain, identifiers }: Variant,
    numbering: Numbering,
  ): Buffer | undefined {
    const { topic, payload } = packet
    const common = { cmd: 'publish', topic, payload, retain, dup: false, ...numbering } as const
    try {
      if (!version5) return generate(common, { protocolVersion: 4 })
      properties ??= forwardedProperties(packet)
      const own = identifiers.length > 0 ? { subscriptionIdentifier: [...identifiers] } : {}
      return generate({ ...common, properties: { ...properties, ...own } }, { protocolVersion: 5 })
    } catch (error) {
      failure = error as Error
      return undefined
    }
  }

  return {
    plain(variant) {
      if (variant.version5 && variant.identifiers.length > 0) return encode(variant, { qos: 0 })
      const slot = (variant.version5 ? 2 : 0) + (variant.retain ? 1 : 0)
      return (shared[slot] ??= encode(variant, { qos: 0 }))
    },
    numbered: (variant, qos, messageId, dup = false) => encode(variant, { qos, messageId, dup }),
    get failure() {
      return failure
    },
  }
}

type Numbering =
  | { readonly qos: 0 }
  | { readonly qos: 1 | 2; readonly messageId: number; readonly dup: boolean }

/**
 * What a server forwards unaltered [MQTT-3.3.2-4 to -20]. Named one by one because others must not pass: a
 * topic alias belongs to a connection, a will's delay to its CONNECT, a subscription identifier to the
 * reader.
 */
const FORWARDED = [
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
] as const satisfies readonly (keyof Properties)[]

function forwardedProperties({ properties, messageExpiry }: AedesPublishPacket): Properties {
  const given = FORWARDED.map((name) => [name, properties?.[name]] as const)
  const forwarded: Properties = Object.fromEntries(given.filter(([, value]) => value !== undefined))
  // What is left of it [MQTT-3.3.2-6].
  if (messageExpiry !== undefined) {
    forwarded.messageExpiryInterval = Math.max(1, Math.ceil((messageExpiry - Date.now()) / 1000))
  }
  return forwarded
}
