/** What this process works with: Redis, others of its kind, and a broker or a bridge elsewhere. */
export const DEPLOYMENT_OPTIONS = {
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
} as const
