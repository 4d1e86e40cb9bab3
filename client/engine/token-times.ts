import type { TokenTimes } from '../core/index.ts'

/**
 * When a token was made and until when it holds, by its own words. Null when it does not say, or is no JSON
 * Web Token. Nothing is verified: that is the broker's business.
 */
export function readTokenTimes(token: string): TokenTimes | null {
  const payload = token.split('.')[1]
  if (payload === undefined) return null
  try {
    const { exp, iat } = JSON.parse(
      atob(payload.replaceAll('-', '+').replaceAll('_', '/')),
    ) as Record<string, unknown>
    if (typeof exp !== 'number') return null
    return { expiresAt: exp * 1000, issuedAt: typeof iat === 'number' ? iat * 1000 : null }
  } catch {
    return null
  }
}
