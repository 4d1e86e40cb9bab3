import type { IncomingMessage } from 'node:http'
import { createMatcher } from '../auth/matcher.ts'

/** Whether a web page of this request's origin may open a WebSocket here. */
export type OriginRule = (request: IncomingMessage) => boolean

/**
 * Creates the rule. A browser says in `Origin` whose page it is; other clients say nothing and are not
 * concerned.
 *
 * @param origins patterns such as `https://app.example.com` or `https://*.example.com`; undefined for the
 * rule that follows from the rest
 * @param asksWho whether clients have to prove who they are. Then no page gets anywhere without a token,
 * which browsers never send by themselves. Without, any page that somebody on this machine looks at could
 * read along: only pages of this machine may, and those of this very server unless it is bound to loopback,
 * where a foreign name that is made to point here (DNS rebinding) would count as its own.
 */
export function createOriginRule(
  origins: readonly string[] | undefined,
  asksWho: boolean,
  isLoopback: boolean,
): OriginRule {
  if (origins) {
    const matches = createMatcher(origins)
    return ({ headers: { origin } }) => origin === undefined || matches(origin)
  }
  if (asksWho) return () => true
  return ({ headers: { origin, host } }) => {
    if (origin === undefined) return true
    if (!URL.canParse(origin)) return false
    const url = new URL(origin)
    return isLoopbackName(url.hostname) || (!isLoopback && url.host === host)
  }
}

/** Whether a name or an address means this machine and nobody else's. */
export function isLoopbackName(name: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(name)
}
