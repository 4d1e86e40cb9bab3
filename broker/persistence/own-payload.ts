import { Buffer } from 'node:buffer'

/**
 * The payload in memory of its own, if it is a small piece of something large: a packet's payload is
 * a slice of what the socket read, and would hold all of that for as long as it is stored.
 */
export function ownPayload(payload: string | Buffer): string | Buffer {
  if (typeof payload === 'string') return payload
  // Up to a pool slab more is not worth a copy: many payloads share one.
  const worthwhile = payload.buffer.byteLength > 2 * payload.byteLength + Buffer.poolSize
  return worthwhile ? Buffer.from(payload) : payload
}
