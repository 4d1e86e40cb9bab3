import { createPublicKey } from 'node:crypto'
import {
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose'
import { failure, type Result } from '../../protocol/index.ts'
import type { TokenVerifier } from './authenticator.ts'
import { parseClaims, type Claims } from './claims.ts'

/** Options of {@link createTokenVerifier}; exactly one of the first three says by which key. */
export interface TokenOptions {
  /** HS256: the secret that is shared with whoever makes the tokens, at least 32 bytes. */
  readonly secret?: string
  /** RS256 or ES256: the public key, or a certificate, in PEM. */
  readonly publicKey?: string
  /** RS256 or ES256: where the public keys are published as a JSON Web Key Set. */
  readonly jwksUrl?: string
  /** What the claim `aud` has to name. @default not looked at */
  readonly audience?: string
  /** What the claim `iss` has to be. @default not looked at */
  readonly issuer?: string
}

/** RFC 7518, 3.2: a key as long as the hash, or longer. */
const MIN_SECRET_BYTES = 32

/** How long the keys may take to come, and how often they are asked for because a token names a new one. */
const JWKS_TIMEOUT_MS = 5000
const JWKS_COOLDOWN_MS = 30_000

/** What a wrong clock may cost, in seconds. */
const CLOCK_TOLERANCE = 5

/** What is wrong with the token itself, by the error's code; anything else is not the client's fault. */
const FAULTS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'the token has expired',
  ERR_JWT_INVALID: 'the token is malformed',
  ERR_JWS_INVALID: 'the token is malformed',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'the signature of the token is wrong',
  ERR_JOSE_ALG_NOT_ALLOWED: 'the token is signed by an algorithm that is not allowed',
  ERR_JOSE_NOT_SUPPORTED: 'the token is signed by an algorithm that is not allowed',
  ERR_JWKS_NO_MATCHING_KEY: 'the token is signed by a key that is not known',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'the token does not say by which key it is signed',
}

/**
 * Creates what verifies JSON Web Tokens: `sub` is the user, `exp` is required, and `rooms`, `watch`, `users`,
 * `admin` and `presence` are the claims of the same names.
 *
 * @throws RangeError when not exactly one key is given, or it cannot be used
 */
export function createTokenVerifier(options: TokenOptions): TokenVerifier {
  const { algorithms, key } = keyOf(options)
  const checks: JWTVerifyOptions = {
    algorithms: [...algorithms],
    clockTolerance: CLOCK_TOLERANCE,
    requiredClaims: ['sub', 'exp'],
    ...(options.audience !== undefined && { audience: options.audience }),
    ...(options.issuer !== undefined && { issuer: options.issuer }),
  }
  return {
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, key, checks)
        return claimsOf(payload)
      } catch (error) {
        const fault = faultOf(error)
        if (fault === undefined) throw error
        return failure(fault)
      }
    },
  }
}

function claimsOf(payload: JWTPayload): Result<Claims> {
  const claims = parseClaims(payload.sub, payload, 1000 * Number(payload.exp))
  return claims.ok ? claims : failure(`the token is not understood: ${claims.error}`)
}

function keyOf({ secret, publicKey, jwksUrl }: TokenOptions): {
  readonly algorithms: readonly string[]
  readonly key: JWTVerifyGetKey
} {
  if ([secret, publicKey, jwksUrl].filter((one) => one !== undefined).length !== 1) {
    throw new RangeError('expected one of secret, publicKey and jwksUrl')
  }
  if (secret !== undefined) {
    const bytes = new TextEncoder().encode(secret)
    if (bytes.length < MIN_SECRET_BYTES) {
      throw new RangeError(
        `expected a secret of at least ${MIN_SECRET_BYTES} bytes, got ${bytes.length}`,
      )
    }
    return { algorithms: ['HS256'], key: () => bytes }
  }
  if (jwksUrl !== undefined) {
    const keys = createRemoteJWKSet(new URL(jwksUrl), {
      timeoutDuration: JWKS_TIMEOUT_MS,
      cooldownDuration: JWKS_COOLDOWN_MS,
    })
    return { algorithms: ['RS256', 'ES256'], key: keys }
  }
  return publicKeyOf(publicKey ?? '')
}

function publicKeyOf(pem: string): {
  readonly algorithms: readonly string[]
  readonly key: JWTVerifyGetKey
} {
  // A private key would do as well, and has no business here.
  if (pem.includes('PRIVATE KEY')) throw new RangeError('expected a public key, got a private one')
  let key
  try {
    key = createPublicKey(pem)
  } catch (cause) {
    throw new RangeError('expected a public key in PEM, got something else', { cause })
  }
  // By the key, never by what the token says: a public key is no secret to sign HS256 with.
  if (key.asymmetricKeyType === 'rsa') return { algorithms: ['RS256'], key: () => key }
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') {
    return { algorithms: ['ES256'], key: () => key }
  }
  throw new RangeError(`expected an RSA or P-256 key, got ${key.asymmetricKeyType}`)
}

/** One sentence on what is wrong with a token; undefined when it is not the token that is wrong. */
function faultOf(error: unknown): string | undefined {
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.reason === 'missing'
      ? `the token has no ${error.claim}`
      : `the ${error.claim} of the token is not what is expected`
  }
  return error instanceof errors.JOSEError ? FAULTS[error.code] : undefined
}
