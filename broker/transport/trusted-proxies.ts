import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { failure, show, success, type Result } from '../../protocol/index.ts'

/** The proxies that may say for whom they speak. */
export interface TrustedProxies {
  isTrusted(address: string | undefined): boolean
  /** The client of an HTTP request: the last address in `X-Forwarded-For` that is no trusted proxy's. */
  clientOf(request: IncomingMessage): string | undefined
}

/** Checks one entry: an address, or a network such as `10.0.0.0/8`. */
export function parseNetwork(text: string): Result<string> {
  const [address = '', prefix, ...more] = text.split('/')
  const family = isIP(address)
  const isFine =
    family !== 0 &&
    more.length === 0 &&
    (prefix === undefined ||
      (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32)))
  return isFine
    ? success(text)
    : failure(`expected an address or a network such as 10.0.0.0/8, got ${show(text)}`)
}

/** @throws RangeError for what is neither an address nor a network */
export function createTrustedProxies(networks: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const network of networks) {
    const checked = parseNetwork(network)
    if (!checked.ok) throw new RangeError(`trustedProxies: ${checked.error}`)
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }

  function isTrusted(address: string | undefined): boolean {
    if (address === undefined) return false
    const plain = plainAddress(address)
    const family = isIP(plain)
    return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }

  return {
    isTrusted,
    clientOf(request) {
      const { remoteAddress } = request.socket
      if (!isTrusted(remoteAddress)) return remoteAddress
      const header = request.headers['x-forwarded-for']
      const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
      // From the right: what stands further left was said by somebody who is not trusted.
      let client = remoteAddress
      for (const hop of hops.toReversed()) {
        const address = plainAddress(hop.trim())
        if (isIP(address) === 0) break
        client = address
        if (!isTrusted(address)) break
      }
      return client
    },
  }
}

/** `::ffff:10.0.0.1` is 10.0.0.1. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}
