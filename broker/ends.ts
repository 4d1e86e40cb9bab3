import type { Cause } from '../protocol/index.ts'
import { hasSaidGoodbye } from './aedes-internals.ts'
import type { Connection } from './connection.ts'

/** Errors by which the system says that the peer cannot be reached. */
const UNREACHABLE = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'])

/** Errors by which the system says that the socket is closed. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE'])

/** The cause that an error of a connection stands for; undefined when it says no more than a closed socket. */
export function causeOfError(error: Error & { readonly code?: unknown }): Cause | undefined {
  const code = typeof error.code === 'string' ? error.code : ''
  if (UNREACHABLE.has(code)) return 'timeout'
  return CLOSED.has(code) ? undefined : 'error'
}

/** How a connection ended: by what is known best, the client's own goodbye before all. */
export function causeOfEnd(connection: Connection, isOurFault: boolean): Cause {
  if (hasSaidGoodbye(connection.client)) return 'left'
  // A peer that gave up on a broker that did not answer, or that a closing one has cut.
  if (isOurFault && connection.cause !== 'kicked') return 'broker'
  return connection.cause ?? 'closed'
}
