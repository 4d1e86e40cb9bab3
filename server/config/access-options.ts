/** Who may connect, and what they may do. */
export const ACCESS_OPTIONS = {
  jwtSecret: {
    heading: 'Who may connect',
    kind: 'text',
    about:
      'Tokens (JWT) are signed with this secret by HS256; at least 32 bytes, safest as an environment variable.',
    secret: true,
  },
  jwtKey: {
    kind: 'path',
    about:
      'Tokens are signed by RS256 or ES256; this is the public key, in PEM. Read again on SIGHUP.',
  },
  jwksUrl: {
    kind: 'url',
    about: 'Tokens are signed by RS256 or ES256; the public keys are published here (JWKS).',
    schemes: ['https', 'http'],
  },
  jwtAudience: {
    kind: 'text',
    about: 'What the aud of a token has to name.',
  },
  jwtIssuer: {
    kind: 'text',
    about: 'What the iss of a token has to be.',
  },
  passwords: {
    kind: 'path',
    about: 'Users with passwords: a file that presence-bridge passwd writes. Read again on SIGHUP.',
  },
  allowAnonymous: {
    kind: 'switch',
    about:
      'Lets in who proves nothing, on any address. Where others prove who they are, it reads but is not present.',
    default: 'no',
  },
  defaultRooms: {
    kind: 'list',
    about: 'The rooms that may be joined and watched by who has no claim that says which.',
    default: '*',
  },
  appTopics: {
    kind: 'appTopics',
    about:
      "Topics outside of presence: allow, deny, or filters such as 'chat/#,devices/{client}/#'. Unless set: deny where clients prove who they are, else allow.",
  },
} as const
