/** How much of anything there may be. */
export const LIMIT_OPTIONS = {
  retainedOffline: {
    heading: 'Limits',
    kind: 'duration',
    about: 'How long the last word on a user who is offline is kept.',
    default: '7d',
    max: '365d',
  },
  maxConnectionGrace: {
    kind: 'duration',
    about: 'The longest grace that a connection may ask for itself.',
    default: '10m',
    max: '1d',
  },
  maxDocumentSize: {
    kind: 'size',
    about: 'The longest connection document.',
    default: '64kB',
    min: '64B',
    max: '16MB',
    atMost: 'maxPacketSize',
  },
  maxRooms: {
    kind: 'count',
    about: 'The most rooms of one connection.',
    default: '100',
    max: '100000',
  },
  maxConnectionsPerUser: {
    kind: 'count',
    about: 'The most connections of one user.',
    default: '100',
    min: '1',
    max: '100000',
  },
  maxConnections: {
    kind: 'count',
    about: 'The most connections.',
    default: '20000',
  },
  maxPerAddress: {
    kind: 'count',
    about: 'The most connections of one address (in IPv6 of a /64), other than this machine.',
    default: '500',
  },
  maxConnectsPerSecond: {
    kind: 'count',
    about:
      'The most new connections a second of one address, and ten times as many at once; a fifth of it for one user.',
    default: '50',
    min: '1',
  },
  maxMessagesPerSecond: {
    kind: 'count',
    about:
      'The most messages and subscriptions a second of one user. Who does more is held back, and cut when 5 s wait. 250 where clients authenticate, none elsewhere unless set.',
    min: '1',
  },
  maxDocumentsPerSecond: {
    kind: 'count',
    about:
      'The most connection documents a second of one user, in the same way; 50 where clients authenticate.',
    min: '1',
  },
  maxSubscriptions: {
    kind: 'count',
    about: 'The most filters of one connection.',
    default: '200',
  },
  maxSessions: {
    kind: 'count',
    about: 'The most sessions that are kept for absent clients.',
    default: '10000',
  },
  maxSessionsPerUser: {
    kind: 'count',
    about: 'The most of one user.',
    default: '20',
    min: '1',
  },
  maxSessionQueue: {
    kind: 'count',
    about: 'The most messages that wait for one session; the oldest goes first.',
    default: '1000',
    min: '1',
  },
  sessionExpiry: {
    kind: 'duration',
    about: 'How long a session is kept at most.',
    default: '7d',
    max: '365d',
  },
  maxRetained: {
    kind: 'count',
    about: 'The most retained messages outside of presence.',
    default: '10000',
  },
  maxRoomsInAll: {
    kind: 'count',
    about: 'The most rooms, those that were left lately included.',
    default: '100000',
  },
  maxMembers: {
    kind: 'count',
    about: 'The most members of one room.',
    default: '100000',
    min: '1',
  },
  maxPacketSize: {
    kind: 'size',
    about: 'The largest MQTT packet.',
    default: '2MB',
    min: '1kB',
    max: '255MB',
    atMost: 'maxQueuedBytes',
  },
  maxQueuedBytes: {
    kind: 'size',
    about: 'The most that waits for one slow reader.',
    default: '8MB',
    max: '1GB',
  },
  maxTopicLevels: {
    kind: 'count',
    about: 'The most levels of a topic.',
    default: '32',
    min: '8',
    max: '100',
  },
} as const
