/**
 * The broker: Aedes, with presence for everybody who connects.
 *
 * @module
 */
export type { AppTopics } from './auth/app-topics.ts'
export {
  createAuthenticator,
  type Authenticator,
  type Credentials,
  type PasswordVerifier,
  type TokenVerifier,
} from './auth/authenticator.ts'
export type { Claims } from './auth/claims.ts'
export { hashPassword } from './auth/password-hash.ts'
export {
  createPasswordVerifier,
  parsePasswords,
  type PasswordEntries,
  type PasswordEntry,
} from './auth/passwords.ts'
export { TOKEN_TOPIC } from './auth/publish-rules.ts'
export { createTokenVerifier, type TokenOptions } from './auth/tokens.ts'
export { createBroker, type Broker } from './broker.ts'
export { DEFAULT_LIMITS, type Limits } from './limits/limits.ts'
export type { TlsOptions } from './transport/tcp-listener.ts'
export type { BrokerLink, BrokerLinkHandlers, BrokerLinkMessage } from './link.ts'
export type { BrokerOptions } from './options.ts'
