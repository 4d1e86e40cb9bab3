import {
  createAuthenticator,
  createPasswordVerifier,
  createTokenVerifier,
  parsePasswords,
  type Authenticator,
  type PasswordVerifier,
  type TlsOptions,
  type TokenVerifier,
} from '../broker/index.ts'
import type { Config } from './config/options.ts'
import { readFile } from './read-file.ts'
import { StartupError } from './startup-error.ts'
import { readTls } from './tls/certificates.ts'

/** By what clients are known, and what the program shows them of itself. */
export interface Security {
  /** None: nobody is asked who he is. */
  readonly authenticator?: Authenticator
  readonly allowGuests: boolean
  readonly tls?: TlsOptions
}

/** {@link Security} whose files can be read again. */
export interface ReloadableSecurity extends Security {
  /**
   * Reads keys, passwords and certificates again; when one of them cannot be used, all stay as they were.
   *
   * @returns the certificates
   * @throws StartupError that says which file and why
   */
  reload(): TlsOptions | undefined
}

interface Files {
  readonly authenticator: Authenticator | undefined
  readonly tls: TlsOptions | undefined
}

/**
 * Reads what the options name.
 *
 * @throws StartupError that says which file and why
 */
export function createSecurity(config: Config): ReloadableSecurity {
  let files = read(config)
  const { authenticator, tls } = files
  return {
    allowGuests: config.allowAnonymous,
    ...(authenticator && {
      authenticator: {
        authenticate: (credentials) =>
          (files.authenticator ?? authenticator).authenticate(credentials),
      },
    }),
    ...(tls && { tls }),
    reload() {
      files = read(config)
      return files.tls
    },
  }
}

function read(config: Config): Files {
  const tokens = readTokens(config)
  const passwords = readPasswords(config.passwords)
  const certificates = config.tlsCa !== undefined
  const asksWho = tokens !== undefined || passwords !== undefined || certificates
  return {
    authenticator: asksWho ? createAuthenticator({ tokens, passwords, certificates }) : undefined,
    tls: readTls(config),
  }
}

function readTokens(config: Config): TokenVerifier | undefined {
  const { jwtSecret, jwtKey, jwksUrl, jwtAudience, jwtIssuer } = config
  if (jwtSecret === undefined && jwtKey === undefined && jwksUrl === undefined) return undefined
  try {
    return createTokenVerifier({
      ...(jwtSecret !== undefined && { secret: jwtSecret }),
      ...(jwtKey !== undefined && { publicKey: readFile('--jwt-key', jwtKey) }),
      ...(jwksUrl !== undefined && { jwksUrl }),
      ...(jwtAudience !== undefined && { audience: jwtAudience }),
      ...(jwtIssuer !== undefined && { issuer: jwtIssuer }),
    })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new StartupError(`--jwt-key ${jwtKey ?? ''}: ${error.message}`, { cause: error })
  }
}

function readPasswords(path: string | undefined): PasswordVerifier | undefined {
  if (path === undefined) return undefined
  const entries = parsePasswords(readFile('--passwords', path))
  if (!entries.ok) throw new StartupError(`--passwords ${path}: ${entries.error}`)
  return createPasswordVerifier(entries.value)
}
