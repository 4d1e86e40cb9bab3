import { failure, isValidId, show, success, type Result } from '../../protocol/index.ts'

/** What is known of somebody who has proved who he is. */
export interface Claims {
  readonly user: string
  /** The rooms it may join, as patterns in which `*` stands for any characters. @default those of the broker */
  readonly rooms?: readonly string[]
  /** The rooms it may watch. @default the rooms it may join */
  readonly watch?: readonly string[]
  /** The users it may see. @default every one; nobody but itself when `rooms` or `watch` is given */
  readonly users?: readonly string[]
  /** A service, such as a bridge: it may write what people read, and read everything. @default false */
  readonly admin?: boolean
  /** Whether others see it. @default true, for an admin false */
  readonly presence?: boolean
  /** When it has to prove itself again, in milliseconds since the epoch. @default never */
  readonly expiresAt?: number
}

/** The claims beside the user and the time, by their names in a token and in a password file. */
const LISTS = ['rooms', 'watch', 'users'] as const
const FLAGS = ['admin', 'presence'] as const

/** Reads what a token or a password file says of a user. */
export function parseClaims(
  user: unknown,
  said: Readonly<Record<string, unknown>>,
  expiresAt?: number,
): Result<Claims> {
  if (typeof user !== 'string' || !isValidId(user)) {
    return failure(`expected a user of 1 to 256 characters, got ${show(user)}`)
  }
  const claims: Record<string, unknown> = { user }
  for (const name of LISTS) {
    const value = said[name]
    if (value === undefined) continue
    const patterns = typeof value === 'string' ? [value] : value
    if (!isPatterns(patterns)) {
      return failure(
        `expected ${name} to be a list of patterns such as "doc-*", got ${show(value)}`,
      )
    }
    claims[name] = patterns
  }
  for (const name of FLAGS) {
    const value = said[name]
    if (value === undefined) continue
    if (typeof value !== 'boolean') {
      return failure(`expected ${name} to be true or false, got ${show(value)}`)
    }
    claims[name] = value
  }
  if (expiresAt !== undefined) claims['expiresAt'] = expiresAt
  return success(claims as unknown as Claims)
}

function isPatterns(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')
}
