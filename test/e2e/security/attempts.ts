import type { Knock } from './stage.ts'
import { forgedToken, SECRET, tokenFor, unsignedToken } from './tokens.ts'

/** CONNACK codes of 3.1.1 and of 5 for one refusal. */
interface Codes {
  readonly 4: number
  readonly 5: number
}

const IDENTIFIER: Codes = { 4: 2, 5: 0x85 }
const CREDENTIALS: Codes = { 4: 4, 5: 0x86 }
const UNAUTHORIZED: Codes = { 4: 5, 5: 0x87 }

/** A CONNECT that must be refused. */
export interface ConnectAttempt {
  readonly title: string
  readonly codes: Codes
  readonly knock: () => Knock | Promise<Knock>
}

function byToken(title: string, make: () => Promise<string>): ConnectAttempt {
  return {
    title,
    codes: CREDENTIALS,
    knock: async () => ({ username: 'mallory', password: Buffer.from(await make()) }),
  }
}

function byPassword(title: string, username: string, password: string): ConnectAttempt {
  return { title, codes: CREDENTIALS, knock: () => ({ username, password: Buffer.from(password) }) }
}

const now = (): number => Math.floor(Date.now() / 1000)

/** Attempts to come in. */
export function connectAttempts(hash: string): readonly ConnectAttempt[] {
  return [
    { title: 'no credentials', codes: UNAUTHORIZED, knock: () => ({}) },
    { title: 'a user name alone', codes: UNAUTHORIZED, knock: () => ({ username: 'alice' }) },
    {
      title: 'the name of a bridge',
      codes: UNAUTHORIZED,
      knock: () => ({ username: 'presence-bridge' }),
    },
    {
      title: 'a token as the user name',
      codes: UNAUTHORIZED,
      knock: async () => ({ username: await tokenFor('mallory') }),
    },
    byPassword('a wrong password', 'paul', 'wrong password'),
    byPassword('an empty password', 'paul', ''),
    byPassword('the hash as the password', 'paul', hash),
    byPassword('the password of somebody else', 'quentin', 'a password of paul'),
    byPassword('a user who does not exist', 'nobody', 'a password of paul'),
    byPassword('a name of every object', '__proto__', 'x'),
    byPassword('the secret of the tokens', 'paul', SECRET),
    byToken('a token that has expired', () => tokenFor('mallory', { claims: { exp: now() - 60 } })),
    byToken('a token that is not valid yet', () =>
      tokenFor('mallory', { claims: { nbf: now() + 60 } }),
    ),
    byToken('a token without exp', () => tokenFor('mallory', { without: ['exp'] })),
    byToken('a token without sub', () => tokenFor('mallory', { without: ['sub'] })),
    byToken('a token of nobody', () => tokenFor('')),
    byToken('a token of a number', () => tokenFor(7)),
    byToken('a token of a name that is too long', () => tokenFor('x'.repeat(257))),
    byToken('a token without a signature', () => unsignedToken('mallory')),
    byToken('a token with another user in it', () => forgedToken('mallory', 'alice')),
    byToken('a token by another secret', () => tokenFor('mallory', { secret: 'y'.repeat(40) })),
    byToken('a token by HS384', () => tokenFor('mallory', { algorithm: 'HS384' })),
    byToken('a token by RS256', () => tokenFor('mallory', { algorithm: 'RS256' })),
    byToken('a token by ES256', () => tokenFor('mallory', { algorithm: 'ES256' })),
    byToken('a token that brings its own key', () =>
      tokenFor('mallory', {
        secret: 'z'.repeat(40),
        header: { jwk: { kty: 'oct', k: Buffer.from('z'.repeat(40)).toString('base64url') } },
      }),
    ),
    byToken('a token that is critical of something', () =>
      tokenFor('mallory', { header: { crit: ['b64'], b64: true }, secret: 'z'.repeat(40) }),
    ),
    byToken('a token for another service', () => tokenFor('mallory', { claims: { aud: 'shop' } })),
    byToken('a token of another issuer', () => tokenFor('mallory', { claims: { iss: 'shop' } })),
    byToken('a token whose rooms are no list', () =>
      tokenFor('mallory', { claims: { rooms: { a: 1 } } }),
    ),
    byToken('a token whose admin is a word', () =>
      tokenFor('mallory', { claims: { admin: 'true' } }),
    ),
    byToken('half a token', async () => (await tokenFor('mallory')).slice(0, -10)),
    byToken('an endless token', async () => `${await tokenFor('mallory')}${'A'.repeat(20_000)}`),
    {
      title: 'a client id that is too long',
      codes: IDENTIFIER,
      knock: async () => ({
        clientId: 'x'.repeat(300),
        username: 'mallory',
        password: Buffer.from(await tokenFor('mallory')),
      }),
    },
  ]
}

/** Topics that mallory, who may join the lobby, must not publish to. `{id}` is its own client id. */
export const FORBIDDEN_TOPICS: readonly string[] = [
  'presence/connections/alice/{id}',
  'presence/connections/alice/alice-1',
  'presence/connections/mallory/other',
  'presence/connections/mallory/{id}/more',
  'presence/connections/mallory',
  'presence/connections/Mallory/{id}',
  'presence/connections//{id}',
  'presence/users/alice',
  'presence/users/alice/status',
  'presence/users/mallory',
  'presence/users/mallory/status',
  'presence/rooms/lobby',
  'presence/rooms/lobby/count',
  'presence/rooms/lobby/events',
  'presence/rooms/lobby/members/mallory',
  'presence/rooms/lobby/members/alice',
  'presence/rooms/secret',
  'presence/bridge/status',
  'presence/bridge/state/mallory',
  'presence/bridge/sync/1',
  'presence/bridges/mallory',
  'presence/brokers/mallory',
  'presence/rollcall',
  'presence',
  'presence/',
  'presence/unknown',
  'presence//users/alice',
  '$SYS/mallory',
  '$SYS/b/new/clients',
  '$presence/kick',
  '$presence/nowhere',
  '$presence/other',
  '$share/g/app/x',
  'private/x',
  'dev/other/x',
  'devices',
  '/app/x',
]

/** Filters that can match nothing that mallory may read: refused in SUBACK. */
export const REFUSED_FILTERS: readonly string[] = [
  'presence/rooms/secret',
  'presence/rooms/secret/#',
  'presence/rooms/secret/+',
  'presence/rooms/secret/count',
  'presence/rooms/secret/events',
  'presence/rooms/secret/members/+',
  'presence/rooms/secret/members/alice',
  'presence/rooms/lobby%2F..%2Fsecret',
  'presence/users/alice',
  'presence/users/alice/status',
  'presence/users/alice/#',
  'presence/connections/alice/+',
  'presence/connections/alice/#',
  'presence/connections/mallory/other',
  'presence/bridge/state/alice',
  'presence/bridge/state/#',
  'presence/bridge/state/+',
  'presence/bridges/+',
  'presence/bridges/#',
  'presence/brokers/#',
  'presence/unknown/#',
  'presence',
  '$SYS/#',
  '$SYS/+/new/clients',
  '$presence/#',
  '$presence/token',
  '$share/g/private/x',
  '$share/g/presence/rooms/secret',
  '$share/g/presence/bridge/state/#',
  'private/#',
  'private/x',
  'dev/other/#',
  'dev/other/x',
]

/** Filters that reach further than what mallory may read: granted, and silent about the rest. */
export const WIDE_FILTERS: readonly string[] = [
  '#',
  '+/#',
  '+/+',
  '+/+/+',
  '+/+/+/+',
  '+/+/+/+/+',
  '+/rooms/#',
  '+/users/#',
  '+/+/secret',
  '+/+/alice/#',
  'presence/#',
  'presence/+/#',
  'presence/+/+',
  'presence/+/+/+',
  'presence/+/+/+/+',
  'presence/rooms/#',
  'presence/rooms/+',
  'presence/rooms/+/#',
  'presence/rooms/+/events',
  'presence/rooms/+/members/+',
  'presence/users/#',
  'presence/users/+',
  'presence/users/+/status',
  'presence/connections/#',
  'presence/connections/+/+',
  'presence/bridge/#',
  'presence/bridge/+',
  'dev/#',
  'dev/+/x',
  '+/x',
  '$share/g/#',
  '$share/g/presence/rooms/+/events',
]

/** Where there is something that mallory must not read. */
export const SECRET_TOPICS: readonly string[] = [
  'presence/rooms/secret',
  'presence/rooms/secret/count',
  'presence/rooms/secret/events',
  'presence/rooms/secret/members/alice',
  'presence/users/alice',
  'presence/users/alice/status',
  'presence/connections/alice/alice-1',
  'presence/bridge/state/alice',
  'presence/bridges/b',
  'presence/brokers/b',
  'presence/unknown',
  'private/x',
  'dev/other/x',
]
