import { failure, isValidId, show, success, type Result } from '../protocol/index.ts'
import type { Identity } from './connection.ts'

/** What a CONNECT says of who it is. */
export interface Credentials {
  readonly clientId: string
  /** Whether the broker made up the client id, since the client brought none. */
  readonly isAssigned: boolean
  readonly username: string | undefined
}

/**
 * Who a client is: its user name, else its client id. Who brings neither is nobody: it may do
 * everything but is not present.
 */
export function identify(
  credentials: Credentials,
  bridgeUser: string | undefined,
): Result<Identity> {
  const { clientId, isAssigned } = credentials
  const username = credentials.username === '' ? undefined : credentials.username
  const user = username ?? clientId
  for (const [name, id] of Object.entries({ 'client id': clientId, 'user name': user })) {
    if (!isValidId(id)) {
      return failure(
        `expected a ${name} of 1 to 256 characters of well-formed Unicode, got ${show(id)}`,
      )
    }
  }
  const isBridge = bridgeUser !== undefined && username === bridgeUser
  const present = !isBridge && !(isAssigned && username === undefined)
  return success({ user, client: clientId, present, isBridge })
}
