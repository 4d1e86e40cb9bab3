import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'

/** What the servers of these tests share with whoever makes tokens. */
export const SECRET = 'a secret of the tests, 32 bytes and more'
export const AUDIENCE = 'presence'
export const ISSUER = 'https://tests.example'

/** How a token is made; what is not said is as it should be. */
export interface TokenParts {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly secret?: string
  readonly algorithm?: string
  /** Claims that are left out. */
  readonly without?: readonly string[]
}

/** Makes a token for a user that holds for a minute. */
export async function tokenFor(sub: unknown, parts: TokenParts = {}): Promise<string> {
  const { claims = {}, header = {}, secret = SECRET, algorithm = 'HS256', without = [] } = parts
  const now = Math.floor(Date.now() / 1000)
  const all: Record<string, unknown> = {
    sub,
    aud: AUDIENCE,
    iss: ISSUER,
    iat: now,
    exp: now + 60,
    ...claims,
  }
  for (const name of without) Reflect.deleteProperty(all, name)
  const key = algorithm.startsWith('HS') ? new TextEncoder().encode(secret) : foreignKey(algorithm)
  return new SignJWT(all).setProtectedHeader({ alg: algorithm, ...header }).sign(key)
}

function foreignKey(algorithm: string): ReturnType<typeof generateKeyPairSync>['privateKey'] {
  return algorithm.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    : generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

/** A token that says that it needs no signature. */
export async function unsignedToken(sub: string): Promise<string> {
  const [, payload] = (await tokenFor(sub)).split('.')
  const header = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  return `${header}.${payload}.`
}

/** Somebody's token with another user in it. */
export async function forgedToken(from: string, to: string): Promise<string> {
  const [header, payload = '', signature] = (await tokenFor(from)).split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const forged = Buffer.from(JSON.stringify({ ...claims, sub: to })).toString('base64url')
  return `${header}.${forged}.${signature}`
}
