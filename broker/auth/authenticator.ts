import type { IncomingMessage } from 'node:http'
import { failure, type Result } from '../../protocol/index.ts'
import { parseClaims, type Claims } from './claims.ts'

/** What a client brings to prove who it is. */
export interface Credentials {
  /** Empty when the client leaves it to the broker. */
  readonly clientId: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly transport: 'tcp' | 'websocket'
  /** The client's address, as a trusted proxy tells it where there is one. */
  readonly remoteAddress: string | undefined
  /** The upgrade request of a WebSocket. */
  readonly request?: IncomingMessage
  /** Of a client certificate that was verified: its common name. */
  readonly certificate?: string
}

/** Finds out who somebody is. */
export interface Authenticator {
  /**
   * Gives what is known of somebody, or one sentence why it does not count. To reject means that it cannot
   * be said now: the client is told to try again.
   */
  authenticate(credentials: Credentials): Promise<Result<Claims>>
}

/** What knows a token. */
export interface TokenVerifier {
  verify(token: string): Promise<Result<Claims>>
}

/** What knows a user's password. */
export interface PasswordVerifier {
  verify(user: string, password: string, address: string | undefined): Promise<Result<Claims>>
}

/** Header and payload in base64url, and a signature: what no password looks like by chance. */
const TOKEN = /^[\w-]{8,}\.[\w-]{8,}\.[\w-]*$/

/** Longer ones are not looked at. */
const MAX_LENGTH = 16_384

/** The subprotocol that brings a token: browsers can set no header. */
const SUBPROTOCOL = 'bearer.'

/**
 * Asks whoever knows the kind of credentials that a client brings: its password before its request, and that
 * before its certificate.
 */
export function createAuthenticator(known: {
  readonly tokens?: TokenVerifier | undefined
  readonly passwords?: PasswordVerifier | undefined
  /** Whether the name in a verified certificate is a user. @default false */
  readonly certificates?: boolean | undefined
}): Authenticator {
  const { tokens, passwords, certificates = false } = known
  return {
    async authenticate({ username, password, remoteAddress, request, certificate }) {
      if ((password?.length ?? 0) > MAX_LENGTH) return failure('the password is too long')
      const token =
        password === undefined ? tokenOf(request) : TOKEN.test(password) ? password : undefined
      if (tokens && token !== undefined) return tokens.verify(token)
      if (passwords && username !== undefined && password !== undefined) {
        return passwords.verify(username, password, remoteAddress)
      }
      // Who tries by a password and fails does not come in by another way.
      if (certificates && password === undefined && certificate !== undefined) {
        return parseClaims(certificate, {})
      }
      const ways = [
        tokens && 'a token',
        passwords && 'a user name and its password',
        certificates && 'a certificate',
      ]
      return failure(`expected ${ways.filter(Boolean).join(' or ')}`)
    },
  }
}

/** Whether a client brings anything at all by which it could be known. */
export function bringsCredentials({ password, request, certificate }: Credentials): boolean {
  return password !== undefined || tokenOf(request) !== undefined || certificate !== undefined
}

/** The token in a WebSocket's upgrade request: `Authorization: Bearer …`, a subprotocol, or `?token=…`. */
export function tokenOf(request: IncomingMessage | undefined): string | undefined {
  if (!request) return undefined
  const { authorization } = request.headers
  const bearer = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',')
  const protocol = offered.map((name) => name.trim()).find((name) => name.startsWith(SUBPROTOCOL))
  if (protocol !== undefined) return protocol.slice(SUBPROTOCOL.length)
  const query = request.url?.split('?').slice(1).join('?') ?? ''
  return new URLSearchParams(query).get('token') ?? undefined
}
