import type { ValuesOf } from './spec.ts'

/**
 * Every option of the program, in the shape of the configuration file. To add an option, add it
 * here: spec.ts says what an entry may hold, kinds.ts which kinds of values there are.
 */
export const OPTIONS = {
  config: {
    heading: 'Where the options come from',
    kind: 'path',
    about: 'A JSON file with options.',
    notInFile: true,
  },

  host: {
    heading: 'Listening',
    kind: 'host',
    about: 'The address to listen on; 0.0.0.0 is every address of the machine.',
    default: '127.0.0.1',
  },
  mqttPort: {
    kind: 'port',
    about: 'The port for MQTT over TCP; 0 is any free one.',
    default: '1883',
  },
  httpPort: {
    kind: 'port',
    about: 'The port for HTTP and for MQTT over WebSocket (/mqtt); 0 is any free one.',
    default: '8080',
  },

  tlsCert: {
    heading: 'TLS',
    kind: 'path',
    about:
      'The certificate, in PEM with those between it and its authority. With it HTTP and WebSocket speak TLS, MQTT has a port with TLS, and the one without listens on 127.0.0.1 only. Read again on SIGHUP.',
  },
  tlsKey: {
    kind: 'path',
    about: 'The key of the certificate, in PEM.',
  },
  tlsCa: {
    kind: 'path',
    about:
      'The authority of client certificates, in PEM; the common name of a certificate that it has signed is a user.',
  },
  mqttsPort: {
    kind: 'port',
    about: 'With a certificate: the port for MQTT over TLS; 0 is any free one.',
    default: '8883',
  },
  trustedProxy: {
    heading: 'Who is asked for',
    kind: 'addresses',
    about:
      'The proxies that may say for whom they speak, such as 10.0.0.0/8: by the PROXY protocol over TCP, by X-Forwarded-For over HTTP.',
    default: '',
  },
  origins: {
    kind: 'list',
    about:
      'The web pages that may open WebSockets, such as https://*.example.com. Unless set: every page where clients prove who they are, else those of this machine.',
  },

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

  root: {
    heading: 'Topics',
    kind: 'topic',
    about: 'What all presence topics start with.',
    default: 'presence',
  },
  brokerId: {
    kind: 'id',
    about:
      'What the name of this broker begins with; the rest is new at each start, since what it knew is gone with it.',
  },
  bridgeId: {
    kind: 'id',
    about:
      'The name of this bridge, unlike that of any other on the same broker; the host name unless set.',
  },

  grace: {
    left: {
      heading: 'Grace: how long presence is held after a connection ended, by how it ended',
      kind: 'duration',
      about: 'The client said that it leaves.',
      default: '0s',
      max: '1h',
    },
    unload: {
      kind: 'duration',
      about: 'The page said that it is unloading, which a refresh does too.',
      default: '2s',
      max: '1h',
    },
    closed: {
      kind: 'duration',
      about: 'The socket closed without a word: a crash, a killed process.',
      default: '5s',
      max: '1h',
    },
    timeout: {
      kind: 'duration',
      about: 'The client was silent for too long: a pulled cable, an empty battery.',
      default: '5s',
      max: '1h',
    },
    error: {
      kind: 'duration',
      about: 'The client broke the protocol or a limit.',
      default: '5s',
      max: '1h',
    },
    broker: {
      kind: 'duration',
      about: 'The broker went away, not the client.',
      default: '15s',
      max: '1h',
    },
    kicked: {
      kind: 'duration',
      about: 'An administrator or an expired token ended it.',
      default: '0s',
      max: '1h',
    },
  },
  rooms: {
    grace: {
      kind: 'roomGrace',
      flag: 'room-grace',
      about:
        "Other graces for the rooms that match a pattern, such as 'doc-*:closed=30s,unload=5s'. As a flag, give it once for each pattern; in the environment, put ; between them.",
      default: '',
      max: '1h',
    },
    paceMin: {
      heading: 'Rooms',
      kind: 'duration',
      flag: 'room-pace-min',
      about: 'The shortest time between two batches of changes of one room.',
      default: '50ms',
      max: '1m',
      atMost: 'rooms.paceMax',
    },
    paceMax: {
      kind: 'duration',
      flag: 'room-pace-max',
      about: 'The longest, which large rooms come to.',
      default: '500ms',
      max: '1m',
    },
    announceLimit: {
      kind: 'count',
      flag: 'announce-limit',
      about: 'Rooms with more members than this announce their size only.',
      default: '1000',
    },
  },

  livenessTimeout: {
    heading: 'Detection',
    kind: 'duration',
    about: 'How long an idle peer may be unreachable before it counts as dead.',
    default: '20s',
    min: '2s',
    max: '1h',
  },
  keepaliveTolerance: {
    kind: 'duration',
    about: 'How late a keepalive may be while its WebSocket answers pings.',
    default: '60s',
    max: '1h',
  },

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
    default: '1MB',
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

  redis: {
    url: {
      heading: 'Redis: state that outlives the process and that several bridges share',
      kind: 'url',
      flag: 'redis',
      variable: 'REDIS_URL',
      about:
        'The Redis (7 or later) to keep presence in: redis:// or rediss://, with user:password@ if it asks for them; in this process unless set.',
      schemes: ['redis', 'rediss'],
    },
    topology: {
      kind: 'choice',
      about: 'What that URL leads to: a server, a node of a Redis Cluster, or a Sentinel.',
      choices: ['single', 'cluster', 'sentinel'],
      default: 'single',
    },
    nodes: {
      kind: 'list',
      about: 'Further nodes of the cluster, or further Sentinels, as host:port.',
      default: '',
    },
    sentinelName: {
      kind: 'text',
      about: 'What the Sentinels call the server.',
      default: 'mymaster',
    },
  },
  cluster: {
    kind: 'switch',
    about:
      'This server is one of several on the same Redis: clients may connect to any of them, and move. Needs --redis.',
    default: 'no',
  },

  broker: {
    heading: 'Broker and bridge apart',
    kind: 'url',
    about:
      'The broker that the command bridge attaches to: mqtt://, mqtts://, ws:// or wss://, with user:password@ if it asks for them.',
    schemes: ['mqtt', 'mqtts', 'ws', 'wss'],
  },
  brokerUsername: {
    kind: 'text',
    about: 'The user name for that broker, in place of the one in its URL.',
  },
  brokerPassword: {
    kind: 'text',
    about: 'The password for that broker; safest as an environment variable.',
    secret: true,
  },
  bridgeUser: {
    kind: 'text',
    about:
      'The user name by which the command broker, or a server with --cluster, knows a bridge that runs alone; only such a bridge may write what people read.',
    default: 'presence-bridge',
  },
  bridgeHttpPort: {
    kind: 'port',
    about: 'A port for the health and the metrics of a bridge that runs alone; none unless set.',
  },

  logLevel: {
    heading: 'Logging',
    kind: 'choice',
    about: 'What is logged, on standard error: this level and all graver ones.',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
  },
} as const

/** The configuration of the program: the value of every option, durations in milliseconds, sizes in bytes. */
export type Config = ValuesOf<typeof OPTIONS>
