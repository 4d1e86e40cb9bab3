import { expect } from 'chai'
import { loadConfig } from '../../server/config/load.ts'

interface Row {
  readonly fact: string
  readonly argv?: readonly string[]
  readonly variables?: Readonly<Record<string, string>>
  readonly file?: string
  readonly sentence: string
}

const ROWS: readonly Row[] = [
  {
    fact: 'a misspelt flag',
    argv: ['--graec-closed', '5s'],
    sentence: 'unknown option --graec-closed; did you mean --grace-closed?',
  },
  {
    fact: 'a flag that is like no other',
    argv: ['--frobnicate'],
    sentence: 'unknown option --frobnicate; see presence-bridge --help',
  },
  {
    fact: 'a short flag',
    argv: ['-p', '1883'],
    sentence: 'unknown option -p; see presence-bridge --help',
  },
  {
    fact: 'a misspelt variable',
    variables: { PRESENCE_GRACE_CLOSE: '5s' },
    sentence:
      'unknown environment variable PRESENCE_GRACE_CLOSE; did you mean PRESENCE_GRACE_CLOSED?',
  },
  {
    fact: 'a misspelt key in a group',
    file: '{"grace":{"clsoed":"5s"}}',
    sentence: 'unknown option grace.clsoed in presence.json; did you mean grace.closed?',
  },
  {
    fact: 'a key of the prototype of objects',
    file: '{"__proto__":{"constructor":1}}',
    sentence: 'unknown option __proto__ in presence.json',
  },
  {
    fact: 'a file that names a file',
    file: '{"config":"other.json"}',
    sentence: 'unknown option config in presence.json',
  },
  {
    fact: 'a value where a group belongs',
    file: '{"grace":"5s"}',
    sentence: 'grace in presence.json: expected an object, got "5s"',
  },
  {
    fact: 'a file that is no JSON',
    file: 'host: 127.0.0.1',
    sentence: 'presence.json: expected JSON, got something else',
  },
  {
    fact: 'a file that is no object',
    file: '[]',
    sentence: 'presence.json: expected an object, got []',
  },
  {
    fact: 'a file that is not there',
    argv: ['--config', 'nowhere.json'],
    sentence: '--config: expected a file that can be read, got "nowhere.json" (ENOENT)',
  },
  {
    fact: 'a misspelt command',
    argv: ['brigde'],
    sentence:
      'expected the command server, broker, bridge or none, got "brigde"; did you mean bridge?',
  },
  {
    fact: 'a word too many',
    argv: ['broker', '5s'],
    sentence: 'expected nothing but options after broker, got "5s"',
  },
  { fact: 'a flag at the end', argv: ['--host'], sentence: '--host needs a value, got nothing' },
  {
    fact: 'a flag in place of a value',
    argv: ['--host', '--root', 'x'],
    sentence: '--host needs a value, got --root',
  },
  {
    fact: 'a duration without a unit',
    variables: { PRESENCE_GRACE_CLOSED: '5' },
    sentence:
      'PRESENCE_GRACE_CLOSED: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got "5" without a unit',
  },
  {
    fact: 'a bare number as a duration in a file',
    file: '{"grace":{"closed":5}}',
    sentence:
      'grace.closed in presence.json: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got "5" without a unit',
  },
  {
    fact: 'a grace that is too long',
    argv: ['--grace-closed', '3d'],
    sentence: '--grace-closed: expected at most 1h, got 3d',
  },
  {
    fact: 'a liveness timeout that is too short',
    argv: ['--liveness-timeout', '10ms'],
    sentence: '--liveness-timeout: expected at least 2s, got 10ms',
  },
  {
    fact: 'a port that is none',
    argv: ['--mqtt-port', '65536'],
    sentence: '--mqtt-port: expected a port from 0 to 65535, got "65536"',
  },
  {
    fact: 'a negative number',
    argv: ['--max-rooms', '-3'],
    sentence: '--max-rooms: expected a whole number from 0 to 100000, got "-3"',
  },
  {
    fact: 'a fraction in a file',
    file: '{"rooms":{"announceLimit":1.5}}',
    sentence: 'rooms.announceLimit in presence.json: expected a whole number from 0, got 1.5',
  },
  {
    fact: 'a size without a unit',
    argv: ['--max-packet-size', '1000000'],
    sentence: '--max-packet-size: expected a size such as 512B, 64kB or 1MB, got "1000000"',
  },
  {
    fact: 'a size that is too small',
    argv: ['--max-packet-size', '1B'],
    sentence: '--max-packet-size: expected at least 1kB, got 1B',
  },
  {
    fact: 'an address that strangers can reach, and nobody is asked who he is',
    argv: ['--host', '0.0.0.0'],
    sentence:
      '--host: on 0.0.0.0 anybody could connect under any name; say how clients prove who they are with --jwt-secret, --jwt-key, --jwks-url, --passwords or --tls-ca, or let everybody in with --allow-anonymous',
  },
  {
    fact: 'a secret that is too short',
    variables: { PRESENCE_JWT_SECRET: 'short' },
    sentence: 'PRESENCE_JWT_SECRET: expected at least 32 bytes, got 5',
  },
  {
    fact: 'two keys for tokens',
    argv: ['--jwt-key', 'a.pem', '--jwks-url', 'https://a.example'],
    sentence: 'expected one key for tokens, got --jwt-key and --jwks-url',
  },
  {
    fact: 'an audience without a key',
    argv: ['--jwt-audience', 'a'],
    sentence: '--jwt-audience needs one of --jwt-secret, --jwt-key and --jwks-url, got nothing',
  },
  {
    fact: 'a certificate without its key',
    argv: ['--tls-cert', 'a.pem'],
    sentence: '--tls-cert needs --tls-key, got nothing',
  },
  {
    fact: 'a proxy that is no address',
    argv: ['--trusted-proxy', '10.0.0.0/8,proxy'],
    sentence: '--trusted-proxy: expected an address or a network such as 10.0.0.0/8, got "proxy"',
  },
  {
    fact: 'a switch that is neither on nor off',
    argv: ['--allow-anonymous=perhaps'],
    sentence: '--allow-anonymous: expected yes or no, got "perhaps"',
  },
  {
    fact: 'one of several brokers without what makes them one',
    argv: ['--cluster'],
    sentence: '--cluster needs --redis, by which the brokers are one, got nothing',
  },
  {
    fact: 'an address with a scheme',
    argv: ['--host', 'http://0.0.0.0'],
    sentence: '--host: expected an address or a host name such as 127.0.0.1, got "http://0.0.0.0"',
  },
  {
    fact: 'a root with a wildcard',
    argv: ['--root', 'a/#'],
    sentence:
      '--root: expected a topic prefix such as presence or acme/presence (no wildcards, no empty level, % only as in %25, not below $), got "a/#"',
  },
  {
    fact: 'an id that is too long',
    argv: ['--broker-id', 'x'.repeat(257)],
    sentence: `--broker-id: expected a name of 1 to 256 characters, got "${'x'.repeat(56)}…`,
  },
  {
    fact: 'a misspelt level',
    argv: ['--log-level', 'wran'],
    sentence:
      '--log-level: expected trace, debug, info, warn, error, fatal or silent, got "wran"; did you mean warn?',
  },
  {
    fact: 'a room grace without a pattern',
    argv: ['--room-grace', 'closed=5s'],
    sentence:
      '--room-grace: expected a pattern and its graces such as doc-*:closed=30s,unload=5s, got "closed=5s"',
  },
  {
    fact: 'a room grace for something that is no cause',
    argv: ['--room-grace', 'doc-*:clsoed=5s'],
    sentence: '--room-grace: doc-*: expected a cause such as closed, got "clsoed"',
  },
  {
    fact: 'a room grace without a unit',
    file: '{"rooms":{"grace":{"doc-*":{"closed":30}}}}',
    sentence:
      'rooms.grace in presence.json: doc-*: closed: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got "30" without a unit',
  },
  {
    fact: 'a room grace that is too long',
    variables: { PRESENCE_ROOM_GRACE: 'a:closed=1s;b:closed=2h' },
    sentence: 'PRESENCE_ROOM_GRACE: b: closed: expected at most 1h, got 2h',
  },
  {
    fact: 'a shortest pace above the longest',
    argv: ['--room-pace-min', '600ms'],
    sentence: '--room-pace-min: expected at most 500ms (the default of --room-pace-max), got 600ms',
  },
  {
    fact: 'a document that fits into no packet',
    argv: ['--max-document-size', '2MB'],
    variables: { PRESENCE_MAX_PACKET_SIZE: '1.5MB' },
    sentence: '--max-document-size: expected at most 1.5MB (PRESENCE_MAX_PACKET_SIZE), got 2MB',
  },
  {
    fact: 'a bridge without a broker',
    argv: ['bridge'],
    sentence: 'bridge needs a broker to attach to, such as --broker mqtt://127.0.0.1:1883',
  },
  {
    fact: 'a broker for a program that is one',
    argv: ['--broker', 'mqtt://localhost'],
    sentence: '--broker is for the command bridge, got the command server',
  },
  {
    fact: 'a broker that is no URL, without showing what may be a password',
    argv: ['bridge', '--broker', 'user:secret@localhost'],
    sentence:
      '--broker: expected a URL that starts with mqtt://, mqtts://, ws:// or wss://, got "…@localhost"',
  },
  {
    fact: 'a Redis with something else than a database behind its port',
    argv: ['--redis', 'redis://localhost:6379/abc'],
    sentence:
      '--redis: expected nothing behind the port but the number of a database, got "redis://localhost:6379/abc"',
  },
  {
    fact: 'a percent sign in a URL that stands for nothing',
    argv: ['bridge', '--broker', 'mqtt://me:100%@localhost'],
    sentence:
      '--broker: expected %25 for each % in the user name and the password, got "mqtt://…@localhost"',
  },
  {
    fact: 'a password without a user name',
    argv: ['bridge', '--broker', 'mqtt://localhost'],
    variables: { PRESENCE_BROKER_PASSWORD: 'secret' },
    sentence:
      'PRESENCE_BROKER_PASSWORD needs --broker-username or PRESENCE_BROKER_USERNAME, got neither',
  },
  {
    fact: 'a password that is no text, without showing it',
    argv: ['bridge', '--broker', 'mqtt://localhost'],
    file: '{"brokerUsername":"bridge","brokerPassword":12345}',
    sentence: 'brokerPassword in presence.json: expected text, got something else',
  },
]

describe('configuration errors', () => {
  for (const { fact, argv = [], variables = {}, file, sentence } of ROWS) {
    it(`tell in one sentence of ${fact}`, () => {
      const flags = file === undefined ? argv : [...argv, '--config', 'presence.json']
      const result = loadConfig(flags, variables, () => file ?? missing())
      expect(result).to.deep.equal({ ok: false, error: sentence })
    })
  }

  function errorsOf(row: Pick<Row, 'argv' | 'variables' | 'file'>): readonly string[] {
    const { argv = [], variables = {}, file } = row
    const flags = file === undefined ? argv : [...argv, '--config', 'presence.json']
    const result = loadConfig(flags, variables, () => file ?? missing())
    return result.ok ? [] : result.error.split('\n')
  }

  it('tell of all at once: of flags, of variables, of the file, and of values', () => {
    const errors = errorsOf({
      argv: ['--mqtt-prot', '1', '--frobnicate', '--grace-closed', '5', '--host', '--no'],
      variables: { PRESENCE_HTTP_PROT: '1', PRESENCE_BROKR_ID: 'b', PRESENCE_MAX_ROOMS: 'x' },
      file: '{"grace":{"clsoed":"5s","left":5},"roto":"x","rooms":7}',
    })
    expect(errors).to.have.members([
      'unknown option --mqtt-prot; did you mean --mqtt-port?',
      'unknown option --frobnicate; see presence-bridge --help',
      '--host needs a value, got --no',
      'unknown environment variable PRESENCE_HTTP_PROT; did you mean PRESENCE_HTTP_PORT?',
      'unknown environment variable PRESENCE_BROKR_ID; did you mean PRESENCE_BROKER_ID?',
      '--grace-closed: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got "5" without a unit',
      'PRESENCE_MAX_ROOMS: expected a whole number from 0 to 100000, got "x"',
      'unknown option grace.clsoed in presence.json; did you mean grace.closed?',
      'grace.left in presence.json: expected a duration such as 250ms, 5s, 2m, 1h or 7d, got "5" without a unit',
      'unknown option roto in presence.json; did you mean root?',
      'rooms in presence.json: expected an object, got 7',
    ])
  })

  it('tell of all that do not go together', () => {
    const errors = errorsOf({ argv: ['--cluster', '--tls-cert', 'a.pem', '--jwt-issuer', 'me'] })
    expect(errors).to.deep.equal([
      '--tls-cert needs --tls-key, got nothing',
      '--jwt-issuer needs one of --jwt-secret, --jwt-key and --jwks-url, got nothing',
      '--cluster needs --redis, by which the brokers are one, got nothing',
    ])
  })

  it('tell of each once', () => {
    expect(errorsOf({ argv: ['--frob', '--frob'] })).to.have.length(1)
  })
})

function missing(): never {
  throw Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' })
}
