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

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Understands a message; never throws, whatever it brings. */
export function readMessage(
  root: string,
  { topic, payload }: LinkMessage,
  limits: DocumentLimits,
): Incoming {
  const parsed = parseTopic(root, topic)
  if (payload.length > 4 * limits.maxDocumentSize) {
    return invalid(
      `expected at most ${limits.maxDocumentSize} characters, got ${payload.length} bytes`,
    )
  }
  const text = decode(payload)
  if (text === undefined) return invalid('expected UTF-8, got other bytes')
  switch (parsed?.kind) {
    case 'connection': {
      const document = parseConnectionDocument(text, limits)
      if (!document.ok) return invalid(document.error)
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
