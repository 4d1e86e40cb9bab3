import type { Socket } from 'node:net'

/** What the beginning of a stream says of its sender. (PROXY protocol, versions 1 and 2, haproxy.org) */
type ProxyHeader =
  /** It is no PROXY header. */
  | { readonly status: 'none' }
  /** It may become one. */
  | { readonly status: 'incomplete' }
  | { readonly status: 'malformed' }
  /** Without an address the proxy speaks for itself, as in a health check. */
  | { readonly status: 'complete'; readonly length: number; readonly address: string | undefined }

const V1 = Buffer.from('PROXY ')
const V2 = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])

/** The longest line of version 1, and the most that version 2 may be here: addresses and some extensions. */
const V1_BYTES = 107
const V2_BYTES = 16 + 1024

/** Reads a PROXY header. */
function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V1)) return parseLine(bytes)
  if (startsLike(bytes, V2)) return parseBinary(bytes)
  return { status: 'none' }
}

function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length)
  return bytes.subarray(0, length).equals(signature.subarray(0, length))
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_BYTES).indexOf('\r\n')
  if (end < 0) return { status: bytes.length < V1_BYTES ? 'incomplete' : 'malformed' }
  const [, family, source] = bytes.toString('latin1', 0, end).split(' ')
  const length = end + 2
  if (family === 'UNKNOWN') return { status: 'complete', length, address: undefined }
  if ((family !== 'TCP4' && family !== 'TCP6') || !source) return { status: 'malformed' }
  return { status: 'complete', length, address: source }
}

function parseBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < 16) return { status: 'incomplete' }
  const length = 16 + bytes.readUInt16BE(14)
  if (length > V2_BYTES || bytes[12] === undefined || bytes[12] >> 4 !== 2) {
    return { status: 'malformed' }
  }
  if (bytes.length < length) return { status: 'incomplete' }
  const isLocal = (bytes[12] & 0x0f) === 0
  const family = (bytes[13] ?? 0) >> 4
  if (isLocal) return { status: 'complete', length, address: undefined }
  if (family === 1 && length >= 16 + 12) {
    return { status: 'complete', length, address: bytes.subarray(16, 20).join('.') }
  }
  if (family === 2 && length >= 16 + 36) {
    const groups = Array.from({ length: 8 }, (_, at) =>
      bytes.readUInt16BE(16 + 2 * at).toString(16),
    )
    return { status: 'complete', length, address: groups.join(':') }
  }
  return { status: 'complete', length, address: undefined }
}

/** How long a trusted proxy may take to say for whom it speaks, in milliseconds. */
const TIMEOUT_MS = 5000

/**
 * Takes the PROXY header off a socket whose other end is a trusted proxy. A stream without one is the
 * proxy's own. `done` is not called for a socket that is destroyed meanwhile.
 */
export function takeProxyHeader(socket: Socket, done: (address: string | undefined) => void): void {
  let bytes = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), TIMEOUT_MS)
  const giveUp = (): void => void socket.destroy()

  function look(): void {
    const chunk = socket.read() as Buffer | null
    if (chunk) bytes = Buffer.concat([bytes, chunk])
    if (bytes.length === 0) return
    const header = parseProxyHeader(bytes)
    if (header.status === 'incomplete') return
    stop()
    if (header.status === 'malformed') return giveUp()
    const used = header.status === 'complete' ? header.length : 0
    if (used < bytes.length) socket.unshift(bytes.subarray(used))
    done(header.status === 'complete' ? header.address : undefined)
  }

  function stop(): void {
    clearTimeout(timer)
    socket.off('readable', look).off('end', giveUp).off('error', giveUp).off('close', stop)
  }

  socket.on('readable', look).on('end', giveUp).on('error', giveUp).on('close', stop)
}
