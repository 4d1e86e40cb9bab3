import { failure, show, success, type Result } from '../../protocol/result.ts'
import { either } from '../../runtime/suggest.ts'

/**
 * Reads a URL with one of some schemes. What may be a password in it stays out of the error.
 *
 * @param schemes without a colon: `mqtt`
 */
export function parseUrl(value: unknown, schemes: readonly string[]): Result<string> {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  const shown = show(typeof value === 'string' ? value.replace(/[^/]*@/, '…@') : value)
  if (!url || url.hostname === '' || !schemes.includes(url.protocol.slice(0, -1))) {
    const starts = either(schemes.map((scheme) => `${scheme}://`))
    return failure(`expected a URL that starts with ${starts}, got ${shown}`)
  }
  if (url.protocol.startsWith('redis') && !/^\/?\d*$/.test(url.pathname)) {
    return failure(`expected nothing behind the port but the number of a database, got ${shown}`)
  }
  return isDecodable(url.username) && isDecodable(url.password)
    ? success(url.href)
    : failure(`expected %25 for each % in the user name and the password, got ${shown}`)
}

function isDecodable(encoded: string): boolean {
  try {
    return decodeURIComponent(encoded) !== undefined
  } catch {
    return false
  }
}
