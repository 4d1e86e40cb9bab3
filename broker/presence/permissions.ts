import { parseTopic } from '../../protocol/index.ts'
import type { Identity } from '../connection.ts'

/** What a client may do with a topic it publishes to. */
export type Permission =
  /** Its own connection document: checked and stamped. */
  | 'own-document'
  /** Not the broker's business. */
  | 'allowed'
  /** Somebody else's: one sentence why. */
  | { readonly refused: string }

/** Judges a publication: what people read is written by bridges alone, and everybody speaks for himself. */
export function judgePublication(root: string, topic: string, identity: Identity): Permission {
  if (topic.startsWith('$')) return { refused: 'topics below $ are the broker’s own' }
  if (topic !== root && !topic.startsWith(`${root}/`)) return 'allowed'
  if (identity.isBridge) return 'allowed'
  const parsed = parseTopic(root, topic)
  if (parsed?.kind !== 'connection') return { refused: 'presence is written by the bridge alone' }
  const { user, client } = parsed
  if (user === identity.user && client === identity.client) return 'own-document'
  return {
    refused: `it speaks for ${user}/${client}, but comes from ${identity.user}/${identity.client}`,
  }
}
