import { expect } from 'chai'
import { loadConfig } from '../../server/config/load.ts'
import { OPTIONS, type Config } from '../../server/config/options.ts'
import { listOptions } from '../../server/config/spec.ts'

/** Flag, variable, key in the file, a value as people write it, and what it means. */
const ROWS: readonly (readonly [string, string, string, string, unknown])[] = [
  ['--host', 'PRESENCE_HOST', 'host', '0.0.0.0', '0.0.0.0'],
  ['--mqtt-port', 'PRESENCE_MQTT_PORT', 'mqttPort', '0', 0],
  ['--http-port', 'PRESENCE_HTTP_PORT', 'httpPort', '65535', 65_535],
  ['--tls-cert', 'PRESENCE_TLS_CERT', 'tlsCert', 'cert.pem', 'cert.pem'],
  ['--tls-key', 'PRESENCE_TLS_KEY', 'tlsKey', 'key.pem', 'key.pem'],
  ['--tls-ca', 'PRESENCE_TLS_CA', 'tlsCa', 'ca.pem', 'ca.pem'],
  ['--mqtts-port', 'PRESENCE_MQTTS_PORT', 'mqttsPort', '0', 0],
  [
    '--trusted-proxy',
    'PRESENCE_TRUSTED_PROXY',
    'trustedProxy',
    '10.0.0.0/8, ::1',
    ['10.0.0.0/8', '::1'],
  ],
  [
    '--origins',
    'PRESENCE_ORIGINS',
    'origins',
    'https://a.example, https://*.b.example',
    ['https://a.example', 'https://*.b.example'],
  ],
  ['--jwt-secret', 'PRESENCE_JWT_SECRET', 'jwtSecret', 'x'.repeat(32), 'x'.repeat(32)],
  ['--jwt-key', 'PRESENCE_JWT_KEY', 'jwtKey', 'jwt.pem', 'jwt.pem'],
  [
    '--jwks-url',
    'PRESENCE_JWKS_URL',
    'jwksUrl',
    'https://a.example/keys',
    'https://a.example/keys',
  ],
  ['--jwt-audience', 'PRESENCE_JWT_AUDIENCE', 'jwtAudience', 'presence', 'presence'],
  ['--jwt-issuer', 'PRESENCE_JWT_ISSUER', 'jwtIssuer', 'https://a.example', 'https://a.example'],
  ['--passwords', 'PRESENCE_PASSWORDS', 'passwords', 'users.json', 'users.json'],
  ['--allow-anonymous', 'PRESENCE_ALLOW_ANONYMOUS', 'allowAnonymous', 'yes', true],
  ['--default-rooms', 'PRESENCE_DEFAULT_ROOMS', 'defaultRooms', 'a,doc-*', ['a', 'doc-*']],
  ['--app-topics', 'PRESENCE_APP_TOPICS', 'appTopics', 'chat/#,a/{user}', ['chat/#', 'a/{user}']],
  ['--root', 'PRESENCE_ROOT', 'root', 'acme/presence', 'acme/presence'],
  ['--broker-id', 'PRESENCE_BROKER_ID', 'brokerId', 'b1', 'b1'],
  ['--bridge-id', 'PRESENCE_BRIDGE_ID', 'bridgeId', '다리', '다리'],
  ['--grace-left', 'PRESENCE_GRACE_LEFT', 'grace.left', '1s', 1000],
  ['--grace-unload', 'PRESENCE_GRACE_UNLOAD', 'grace.unload', '250ms', 250],
  ['--grace-closed', 'PRESENCE_GRACE_CLOSED', 'grace.closed', '7s', 7000],
  ['--grace-timeout', 'PRESENCE_GRACE_TIMEOUT', 'grace.timeout', '1.5m', 90_000],
  ['--grace-error', 'PRESENCE_GRACE_ERROR', 'grace.error', '0', 0],
  ['--grace-broker', 'PRESENCE_GRACE_BROKER', 'grace.broker', '1h', 3_600_000],
  ['--grace-kicked', 'PRESENCE_GRACE_KICKED', 'grace.kicked', '2s', 2000],
  [
    '--room-grace',
    'PRESENCE_ROOM_GRACE',
    'rooms.grace',
    'doc-*:closed=30s,unload=5s; chat:1:closed=0',
    [
      { pattern: 'doc-*', grace: { closed: 30_000, unload: 5000 } },
      { pattern: 'chat:1', grace: { closed: 0 } },
    ],
  ],
  ['--room-pace-min', 'PRESENCE_ROOM_PACE_MIN', 'rooms.paceMin', '10ms', 10],
  ['--room-pace-max', 'PRESENCE_ROOM_PACE_MAX', 'rooms.paceMax', '1s', 1000],
  ['--announce-limit', 'PRESENCE_ANNOUNCE_LIMIT', 'rooms.announceLimit', '5000', 5000],
  ['--liveness-timeout', 'PRESENCE_LIVENESS_TIMEOUT', 'livenessTimeout', '10s', 10_000],
  ['--keepalive-tolerance', 'PRESENCE_KEEPALIVE_TOLERANCE', 'keepaliveTolerance', '0', 0],
  ['--retained-offline', 'PRESENCE_RETAINED_OFFLINE', 'retainedOffline', '1d', 86_400_000],
  ['--max-connection-grace', 'PRESENCE_MAX_CONNECTION_GRACE', 'maxConnectionGrace', '1m', 60_000],
  ['--max-document-size', 'PRESENCE_MAX_DOCUMENT_SIZE', 'maxDocumentSize', '1kB', 1024],
  ['--max-rooms', 'PRESENCE_MAX_ROOMS', 'maxRooms', '7', 7],
  [
    '--max-connections-per-user',
    'PRESENCE_MAX_CONNECTIONS_PER_USER',
    'maxConnectionsPerUser',
    '3',
    3,
  ],
  ['--max-connections', 'PRESENCE_MAX_CONNECTIONS', 'maxConnections', '9', 9],
  ['--max-per-address', 'PRESENCE_MAX_PER_ADDRESS', 'maxPerAddress', '9', 9],
  ['--max-connects-per-second', 'PRESENCE_MAX_CONNECTS_PER_SECOND', 'maxConnectsPerSecond', '9', 9],
  ['--max-messages-per-second', 'PRESENCE_MAX_MESSAGES_PER_SECOND', 'maxMessagesPerSecond', '9', 9],
  [
    '--max-documents-per-second',
    'PRESENCE_MAX_DOCUMENTS_PER_SECOND',
    'maxDocumentsPerSecond',
    '9',
    9,
  ],
  ['--max-subscriptions', 'PRESENCE_MAX_SUBSCRIPTIONS', 'maxSubscriptions', '9', 9],
  ['--max-sessions', 'PRESENCE_MAX_SESSIONS', 'maxSessions', '9', 9],
  ['--max-sessions-per-user', 'PRESENCE_MAX_SESSIONS_PER_USER', 'maxSessionsPerUser', '9', 9],
  ['--max-session-queue', 'PRESENCE_MAX_SESSION_QUEUE', 'maxSessionQueue', '9', 9],
  ['--session-expiry', 'PRESENCE_SESSION_EXPIRY', 'sessionExpiry', '1d', 86_400_000],
  ['--max-retained', 'PRESENCE_MAX_RETAINED', 'maxRetained', '9', 9],
  ['--max-rooms-in-all', 'PRESENCE_MAX_ROOMS_IN_ALL', 'maxRoomsInAll', '9', 9],
  ['--max-members', 'PRESENCE_MAX_MEMBERS', 'maxMembers', '9', 9],
  ['--max-packet-size', 'PRESENCE_MAX_PACKET_SIZE', 'maxPacketSize', '1.5MB', 1_572_864],
  ['--max-queued-bytes', 'PRESENCE_MAX_QUEUED_BYTES', 'maxQueuedBytes', '2MB', 2_097_152],
  ['--max-topic-levels', 'PRESENCE_MAX_TOPIC_LEVELS', 'maxTopicLevels', '12', 12],
  [
    '--redis',
    'PRESENCE_REDIS_URL',
    'redis.url',
    'rediss://u:p@redis:6380/2',
    'rediss://u:p@redis:6380/2',
  ],
  ['--redis-topology', 'PRESENCE_REDIS_TOPOLOGY', 'redis.topology', 'cluster', 'cluster'],
  ['--redis-nodes', 'PRESENCE_REDIS_NODES', 'redis.nodes', 'a:1,b:2', ['a:1', 'b:2']],
  ['--redis-sentinel-name', 'PRESENCE_REDIS_SENTINEL_NAME', 'redis.sentinelName', 'db', 'db'],
  ['--cluster', 'PRESENCE_CLUSTER', 'cluster', 'yes', true],
  ['--broker', 'PRESENCE_BROKER', 'broker', 'wss://u:p@broker/mqtt', 'wss://u:p@broker/mqtt'],
  ['--broker-username', 'PRESENCE_BROKER_USERNAME', 'brokerUsername', 'bridge', 'bridge'],
  ['--broker-password', 'PRESENCE_BROKER_PASSWORD', 'brokerPassword', 'se:cret', 'se:cret'],
  ['--bridge-user', 'PRESENCE_BRIDGE_USER', 'bridgeUser', 'b', 'b'],
  ['--bridge-http-port', 'PRESENCE_BRIDGE_HTTP_PORT', 'bridgeHttpPort', '8081', 8081],
  ['--log-level', 'PRESENCE_LOG_LEVEL', 'logLevel', 'silent', 'silent'],
]

describe('options', () => {
  it('are all in this table', () => {
    const names = listOptions(OPTIONS)
      .filter(({ key }) => key !== 'config')
      .map(({ flag, variable, key }) => [flag, variable, key])
    expect(ROWS.map((row) => row.slice(0, 3))).to.deep.equal(names)
  })

  for (const [flag, variable, key, written, value] of ROWS) {
    it(`${key} is the same as ${flag}, as ${variable} and in a file`, () => {
      expect(valueAt(load([flag, written]), key)).to.deep.equal(value)
      expect(valueAt(load([`${flag}=${written}`]), key)).to.deep.equal(value)
      expect(valueAt(load([], { [variable]: written }), key)).to.deep.equal(value)
      expect(valueAt(load([], {}, nested(key, written)), key)).to.deep.equal(value)
    })
  }

  it('have the defaults of the documentation', () => {
    const result = loadConfig([], {}, readNothing)
    expect(result).to.deep.equal({
      ok: true,
      value: { command: 'server', config: DEFAULTS },
    })
  })

  for (const word of ['yes', 'true', 'on', '1', 'TRUE', 'no', 'false', 'off', '0', 'Off']) {
    it(`take ${word} for a switch, as a variable and in a file`, () => {
      const isOn = /^(yes|true|on|1)$/i.test(word)
      const variables = { PRESENCE_REDIS_URL: 'redis://localhost' }
      expect(load([], { ...variables, PRESENCE_CLUSTER: word }).cluster).to.equal(isOn)
      expect(load([], variables, { cluster: word }).cluster).to.equal(isOn)
    })
  }

  it('come from a flag before a variable before a file before the default', () => {
    const flags = ['--grace-closed', '1s']
    const variables = { PRESENCE_GRACE_CLOSED: '2s', PRESENCE_GRACE_TIMEOUT: '2s' }
    const file = { grace: { closed: '3s', timeout: '3s', error: '3s' } }
    expect(load(flags, variables, file).grace).to.include({
      closed: 1000,
      timeout: 2000,
      error: 3000,
      broker: 15_000,
    })
  })

  it('come from the file that PRESENCE_CONFIG names, unless --config names another', () => {
    const readFile = (path: string): string => JSON.stringify({ root: path })
    const variables = { PRESENCE_CONFIG: 'a.json' }
    const byVariable = loadConfig([], variables, readFile)
    const byFlag = loadConfig(['--config', 'b.json'], variables, readFile)
    expect(byVariable).to.have.nested.property('value.config.root', 'a.json')
    expect(byFlag).to.have.nested.property('value.config.root', 'b.json')
  })

  it('take numbers in a file for what has no unit', () => {
    expect(load([], {}, { mqttPort: 0, maxRooms: 12 })).to.include({ mqttPort: 0, maxRooms: 12 })
  })

  it('take room graces as an object in a file', () => {
    const file = { rooms: { grace: { 'doc-*': { closed: '30s' }, 'a=b;c:d': { left: '0' } } } }
    expect(load([], {}, file).rooms.grace).to.deep.equal([
      { pattern: 'doc-*', grace: { closed: 30_000 } },
      { pattern: 'a=b;c:d', grace: { left: 0 } },
    ])
  })

  it('add up the room graces of several flags', () => {
    const flags = ['--room-grace', 'a:closed=1s', '--room-grace', 'b:closed=2s']
    expect(load(flags).rooms.grace.map(({ pattern }) => pattern)).to.deep.equal(['a', 'b'])
  })

  it('take the last of several flags otherwise', () => {
    expect(load(['--root', 'a', '--root', 'b']).root).to.equal('b')
  })

  it('take an empty variable as one that is not set', () => {
    expect(load(['--root', 'a'], { PRESENCE_ROOT: '', PRESENCE_BRIDGE_ID: '' })).to.include({
      root: 'a',
      bridgeId: undefined,
    })
  })

  it('leave alone what Kubernetes says of a Service named presence', () => {
    const variables = {
      PRESENCE_SERVICE_HOST: '10.0.0.1',
      PRESENCE_SERVICE_PORT: '1883',
      PRESENCE_SERVICE_PORT_MQTT: '1883',
      PRESENCE_PORT: 'tcp://10.0.0.1:1883',
      PRESENCE_PORT_1883_TCP: 'tcp://10.0.0.1:1883',
      PRESENCE_PORT_1883_TCP_ADDR: '10.0.0.1',
    }
    expect(load([], variables).mqttPort).to.equal(1883)
  })
})

describe('commands', () => {
  for (const [argv, command] of [
    [[], 'server'],
    [['server'], 'server'],
    [['broker', '--host', '::', '--allow-anonymous'], 'broker'],
    [['--broker', 'mqtt://localhost', 'bridge'], 'bridge'],
    [['--help'], 'help'],
    [['-h'], 'help'],
    [['--misspelt', '--help', '--version'], 'help'],
    [['--version'], 'version'],
  ] as const) {
    it(`"${argv.join(' ')}" is ${command}`, () => {
      expect(loadConfig(argv, {}, readNothing)).to.have.nested.property('value.command', command)
    })
  }
})

const DEFAULTS: Config = {
  config: undefined,
  host: '127.0.0.1',
  mqttPort: 1883,
  httpPort: 8080,
  tlsCert: undefined,
  tlsKey: undefined,
  tlsCa: undefined,
  mqttsPort: 8883,
  trustedProxy: [],
  origins: undefined,
  jwtSecret: undefined,
  jwtKey: undefined,
  jwksUrl: undefined,
  jwtAudience: undefined,
  jwtIssuer: undefined,
  passwords: undefined,
  allowAnonymous: false,
  defaultRooms: ['*'],
  appTopics: undefined,
  root: 'presence',
  brokerId: undefined,
  maxMessagesPerSecond: undefined,
  maxDocumentsPerSecond: undefined,
  bridgeId: undefined,
  grace: {
    left: 0,
    unload: 2000,
    closed: 5000,
    timeout: 5000,
    error: 5000,
    broker: 15_000,
    kicked: 0,
  },
  rooms: { grace: [], paceMin: 50, paceMax: 500, announceLimit: 1000 },
  livenessTimeout: 20_000,
  keepaliveTolerance: 60_000,
  retainedOffline: 604_800_000,
  maxConnectionGrace: 600_000,
  maxDocumentSize: 65_536,
  maxRooms: 100,
  maxConnectionsPerUser: 100,
  maxConnections: 20_000,
  maxPerAddress: 500,
  maxConnectsPerSecond: 50,
  maxSubscriptions: 200,
  maxSessions: 10_000,
  maxSessionsPerUser: 20,
  maxSessionQueue: 1000,
  sessionExpiry: 604_800_000,
  maxRetained: 10_000,
  maxRoomsInAll: 100_000,
  maxMembers: 100_000,
  maxPacketSize: 2_097_152,
  maxQueuedBytes: 8_388_608,
  maxTopicLevels: 32,
  redis: { url: undefined, topology: 'single', nodes: [], sentinelName: 'mymaster' },
  cluster: false,
  broker: undefined,
  brokerUsername: undefined,
  brokerPassword: undefined,
  bridgeUser: 'presence-bridge',
  bridgeHttpPort: undefined,
  logLevel: 'info',
}

const BROKER = 'mqtt://user@localhost'

/** Loads for the command bridge, with which every option may be given. */
function load(flags: readonly string[], variables = {}, file: object = {}): Config {
  const broker = 'PRESENCE_BROKER' in variables || 'broker' in file ? [] : ['--broker', BROKER]
  const argv = ['bridge', '--config', 'presence.json', ...broker, ...flags]
  const result = loadConfig(argv, variables, () => JSON.stringify(file))
  if (!result.ok) throw new Error(result.error)
  return (result.value as { readonly config: Config }).config
}

function readNothing(): string {
  throw new Error('expected no file to be read')
}

function nested(key: string, value: unknown): object {
  const names = key.split('.').toReversed()
  return names.reduce((inner: unknown, name) => ({ [name]: inner }), value) as object
}

function valueAt(config: Config, key: string): unknown {
  return key
    .split('.')
    .reduce((group: unknown, name) => (group as Record<string, unknown>)[name], config)
}
