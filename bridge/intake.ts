import { describeSize } from '../protocol/connection-document.ts'
import {
  parseBrokerHeartbeat,
  parseConnectionDocument,
  parsePing,
  parseTopic,
  show,
  type BrokerHeartbeat,
  type ConnectionDocument,
  type DocumentLimits,
} from '../protocol/index.ts'
import type { LinkMessage } from './link/link.ts'

/** A message of the input plane, understood. */
export type Incoming =
  | {
      readonly kind: 'document'
      readonly user: string
      readonly client: string
      readonly document: ConnectionDocument
    }
  | { readonly kind: 'heartbeat'; readonly beat: BrokerHeartbeat }
  | { readonly kind: 'status'; readonly status: string }
  | { readonly kind: 'ping'; readonly ping: string }
  | { readonly kind: 'bridge'; readonly bridge: string; readonly status: string }
  | { readonly kind: 'invalid'; readonly error: string }

/**
 * What a broker of ours may make of documents that were not too large: in a roll call it says the rooms of one
 * with the data of another, and it adds ids, numbers and a time, in bytes.
 */
const STAMP_BYTES = 4096

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Understands a message; never throws, whatever it brings. */
export function readMessage(
  root: string,
  { topic, payload }: LinkMessage,
  limits: DocumentLimits,
): Incoming {
  const parsed = parseTopic(root, topic)
  const { length } = payload
  const most = 2 * limits.maxDocumentSize + STAMP_BYTES
  if (length > most) return invalid(describeSize(length, limits))
  const text = decode(payload)
  if (text === undefined) return invalid('expected UTF-8, got other bytes')
  switch (parsed?.kind) {
    case 'connection': {
      const document = parseConnectionDocument(text, { ...limits, maxDocumentSize: most })
      if (!document.ok) return invalid(document.error)
      const isChecked = document.value.broker !== undefined
      if (!isChecked && length > limits.maxDocumentSize)
        return invalid(describeSize(length, limits))
      const { user, client } = parsed
      return { kind: 'document', user, client, document: document.value }
    }
    case 'broker': {
      const beat = parseBrokerHeartbeat(text)
      return beat && beat.broker === parsed.broker
        ? { kind: 'heartbeat', beat }
        : invalid(`expected the heartbeat of ${show(parsed.broker)}, got ${show(text)}`)
    }
    case 'bridgeStatus':
      return { kind: 'status', status: text }
    case 'ping': {
      const ping = parsePing(text)?.ping
      return ping === undefined
        ? invalid(`expected a ping, got ${show(text)}`)
        : { kind: 'ping', ping }
    }
    case 'bridge':
      return { kind: 'bridge', bridge: parsed.bridge, status: text }
    default:
      return invalid(`expected a topic of the input plane, got ${show(topic)}`)
  }
}

function decode(payload: Uint8Array): string | undefined {
  try {
    return decoder.decode(payload)
  } catch {
    return undefined
  }
}

function invalid(error: string): Incoming {
  return { kind: 'invalid', error }
}
