import { expect } from 'chai'
import { createServer } from 'node:net'
import { createBroker, type BrokerOptions } from '../../broker/index.ts'
import { resolveOptions } from '../../broker/options.ts'
import { DEFAULT_DOCUMENT_LIMITS } from '../../protocol/index.ts'
import { startTcpBroker } from '../helpers/tcp-broker.ts'

/** What nobody writes whose compiler looks. */
const WRONG: readonly (readonly [string, unknown, typeof TypeError | typeof RangeError, string])[] =
  [
    ['null', null, TypeError, 'createBroker: expected an object, got null'],
    ['a port alone', 1883, TypeError, 'createBroker: expected an object, got 1883'],
    ['a list', [], TypeError, 'createBroker: expected an object, got Array'],
    [
      'a misspelt name',
      { mqttPrt: 0 },
      RangeError,
      'createBroker: expected one of id, root, host, mqttPort, tls,',
    ],
    ['a name that is nearly one', { mqttPrt: 0 }, RangeError, '"mqttPrt"; did you mean mqttPort?'],
    ['a name of objects', { constructor: 1 }, RangeError, 'got "constructor"'],
    [
      'a port that is a text',
      { mqttPort: 'x' },
      TypeError,
      'mqttPort: expected a port from 0 to 65535, or false, got "x"',
    ],
    ['no port but true', { mqttPort: true }, TypeError, 'mqttPort: expected a port'],
    [
      'a port too high',
      { mqttPort: 65_536 },
      RangeError,
      'mqttPort: expected a port from 0 to 65535, or false, got 65536',
    ],
    ['a negative port', { mqttPort: -1 }, RangeError, 'got -1'],
    ['half a port', { mqttPort: 0.5 }, RangeError, 'got 0.5'],
    [
      'TLS without a port',
      { tls: {} },
      TypeError,
      'tls.port: expected a port from 0 to 65535, got undefined',
    ],
    [
      'TLS without a listener',
      { tls: { port: false } },
      TypeError,
      'tls.port: expected a port from 0 to 65535, got false',
    ],
    [
      'a host that is none',
      { host: 5 },
      TypeError,
      'host: expected an address or a host name, got 5',
    ],
    ['an empty host', { host: '' }, RangeError, 'host: expected an address or a host name, got ""'],
    ['a long id', { id: 'x'.repeat(300) }, RangeError, `got "${'x'.repeat(58)}…`],
    ['an empty id', { id: '' }, RangeError, 'id: expected an id of 1 to 256 characters, got ""'],
    ['a root that is none', { root: 5 }, TypeError, 'root: expected text, got 5'],
    ['a root with a wildcard', { root: '#' }, RangeError, 'root: expected a topic prefix'],
    [
      'a proxy alone',
      { trustedProxies: '::1' },
      TypeError,
      'trustedProxies: expected a list, got "::1"',
    ],
    [
      'a proxy that is none',
      { trustedProxies: [1] },
      TypeError,
      'trustedProxies[0]: expected text, got 1',
    ],
    [
      'a server that is none',
      { httpServer: 80 },
      TypeError,
      'httpServer: expected an object with on, got 80',
    ],
    [
      'a time that is a text',
      { heartbeatMs: '2s' },
      TypeError,
      'heartbeatMs: expected a number from 100 to 5000, got "2s"',
    ],
    [
      'a time too short',
      { heartbeatMs: 1 },
      RangeError,
      'heartbeatMs: expected a number from 100 to 5000, got 1',
    ],
    [
      'no number',
      { maxPacketSize: Number.NaN },
      RangeError,
      'maxPacketSize: expected a whole number from 1024 to 268435455, got NaN',
    ],
    [
      'a misspelt bound',
      { documentLimits: { maxRoom: 1 } },
      RangeError,
      'documentLimits: expected one of maxDocumentSize, maxRooms, maxDepth, got "maxRoom"',
    ],
    [
      'more levels than readers take',
      { documentLimits: { maxDepth: 33 } },
      RangeError,
      'documentLimits.maxDepth: expected a whole number from 2 to 32, got 33',
    ],
    [
      'a misspelt limit',
      { limits: { maxSession: 1 } },
      RangeError,
      'limits: expected one of maxConnections,',
    ],
    [
      'a limit that is a text',
      { limits: { maxSessions: '1' } },
      TypeError,
      'limits.maxSessions: expected a number, got "1"',
    ],
    ['a negative limit', { limits: { maxSessions: -1 } }, RangeError, 'limits.maxSessions'],
    [
      'an authenticator that cannot',
      { authenticator: {} },
      TypeError,
      'authenticator: expected an object with authenticate, got Object',
    ],
    [
      'a switch that is a text',
      { allowGuests: 'no' },
      TypeError,
      'allowGuests: expected true or false, got "no"',
    ],
    [
      'another word',
      { appTopics: 'all' },
      RangeError,
      'appTopics: expected allow, deny or a list, got "all"',
    ],
    ['a filter that is none', { appTopics: ['a', 5] }, TypeError, 'appTopics[1]: expected text'],
    ['filters that are none', { appTopics: 5 }, TypeError, 'appTopics: expected a list, got 5'],
    [
      'a Redis without a URL',
      { cluster: {} },
      TypeError,
      'cluster.url: expected the URL of Redis, got undefined',
    ],
    [
      'half a logger',
      { logger: { info() {} } },
      TypeError,
      'logger: expected an object with debug, info, warn and error',
    ],
    [
      'a clock that is a function',
      { clock: Date.now },
      TypeError,
      'clock: expected an object with now and after, got Function',
    ],
  ]

describe('the options of a broker', () => {
  for (const [title, options, kind, message] of WRONG) {
    it(`are not ${title}: ${message}`, async () => {
      const error = await createBroker(options as BrokerOptions).catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(kind)
      expect((error as Error).message).to.include(message)
    })
  }

  it('may be given as undefined, which is their default', async () => {
    const given = {
      host: undefined,
      limits: { maxSessions: undefined },
    } as unknown as BrokerOptions
    const { port } = await startTcpBroker(given)
    // Nobody has bound another address of this machine.
    const other = createServer()
    await new Promise<void>((resolve, reject) => {
      other.once('error', reject).listen(port, '127.0.0.2', resolve)
    })
    other.close()
    const { documentLimits } = resolveOptions({ documentLimits: { maxRooms: undefined } } as object)
    expect(documentLimits).to.deep.equal(DEFAULT_DOCUMENT_LIMITS)
  })
})
