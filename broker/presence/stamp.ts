import { describeSize } from '../../protocol/connection-document.ts'
import {
  formatConnectionDocument,
  parseConnectionDocument,
  success,
  failure,
  type ConnectionDocument,
  type DocumentLimits,
  type Result,
} from '../../protocol/index.ts'
import type { Connection } from '../connection.ts'
import { nextStamp } from './next-stamp.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Checks what a client says of its own connection, notes it, and stamps it: with the connection's
 * and the broker's id and a number, and without what only a broker may say or hear.
 *
 * @param refuse says why the client may not say so; then nothing is noted of it
 * @returns the payload to publish, or one sentence about what is wrong
 */
export function stampDocument(
  connection: Connection,
  payload: string | Buffer,
  broker: string,
  limits: DocumentLimits,
  refuse: (document: ConnectionDocument) => string | undefined = () => undefined,
): Result<string> {
  const parsed = parse(payload, limits)
  if (!parsed.ok) return parsed
  const refusal = refuse(parsed.value)
  if (refusal !== undefined) return failure(refusal)
  const { ended: _, lastSeen: __, stamp: ___, claim: ____, ...own } = parsed.value
  const { reason, unloadKey, ...said } = own
  if (unloadKey !== undefined) connection.unloadKey = unloadKey
  // From a client only `left` and `unload` count; how else it ended others find out.
  const isOffline = said.status === 'offline'
  const cause = reason === 'left' || reason === 'unload' ? reason : 'closed'
  const document: ConnectionDocument = {
    ...said,
    ...(isOffline && { reason: cause }),
    connection: connection.id,
    broker,
    ...(connection.claim !== undefined && { claim: connection.claim }),
  }
  connection.document = merge(connection.document, document)
  return success(formatConnectionDocument({ ...document, stamp: nextStamp() }))
}

function parse(payload: string | Buffer, limits: DocumentLimits): Result<ConnectionDocument> {
  if (typeof payload === 'string') return parseConnectionDocument(payload, limits)
  if (payload.length > limits.maxDocumentSize) {
    return failure(describeSize(payload.length, limits))
  }
  try {
    return parseConnectionDocument(decoder.decode(payload), limits)
  } catch {
    return failure('expected UTF-8, got other bytes')
  }
}

/** What the documents of a connection come to; what a roll call repeats. */
function merge(before: ConnectionDocument, document: ConnectionDocument): ConnectionDocument {
  // An unloading page may come back and is then where it was; any other leaving forgets the rooms.
  const forgets = document.status === 'offline' && document.reason !== 'unload'
  if (forgets) return document
  const { reason: _, ...rest } = before
  return { ...rest, ...document }
}
