import type { AedesPublishPacket } from 'aedes'
import { encodeField, encodePublish } from './encode-publish.ts'
import { encodeForwarded, encodeIdentifiers } from './forwarded-properties.ts'

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
  let topic: Buffer | undefined
  let payload: Buffer | undefined
  let forwarded: Buffer | undefined
  let failure: Error | undefined

  function encode(
    { version5, retain, identifiers }: Variant,
    qos: 0 | 1 | 2,
    messageId: number,
    dup: boolean,
  ): Buffer | undefined {
    try {
      topic ??= encodeField('a topic', packet.topic)
      payload ??= asBuffer(packet.payload)
      const common = { retain, qos, dup, messageId, topic, payload }
      if (!version5) return encodePublish({ ...common, properties: undefined })
      forwarded ??= encodeForwarded(packet)
      const own = identifiers.length > 0 ? [encodeIdentifiers(identifiers)] : []
      return encodePublish({ ...common, properties: [forwarded, ...own] })
    } catch (error) {
      failure = error as Error
      return undefined
    }
  }

  return {
    plain(variant) {
      if (variant.version5 && variant.identifiers.length > 0) return encode(variant, 0, 0, false)
      const slot = (variant.version5 ? 2 : 0) + (variant.retain ? 1 : 0)
      return (shared[slot] ??= encode(variant, 0, 0, false))
    },
    numbered: (variant, qos, messageId, dup = false) => encode(variant, qos, messageId, dup),
    get failure() {
      return failure
    },
  }
}

function asBuffer(payload: string | Buffer): Buffer {
  return typeof payload === 'string' ? Buffer.from(payload) : payload
}
