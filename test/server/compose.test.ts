import { expect } from 'chai'
import { createServer, type Server } from 'node:http'
import { hostname } from 'node:os'
import { createMemoryStore, type Store } from '../../bridge/index.ts'
import { silentLogger } from '../../runtime/logger.ts'
import { startProgram, type Program } from '../../server/compose.ts'
import { loadConfig, type Command } from '../../server/config/load.ts'
import type { Config } from '../../server/config/options.ts'
import { closeHttpServer, listen } from '../../server/http.ts'
import { StartupError } from '../../server/startup-error.ts'
import { createFakeParts, type FakeParts } from './fake-parts.ts'

describe('startProgram', () => {
  const programs: Program[] = []
  const servers: Server[] = []

  async function start(argv: readonly string[], parts: FakeParts): Promise<Program> {
    const { command, config } = configured(argv)
    const program = await startProgram(command, config, parts, silentLogger)
    programs.push(program)
    return program
  }

  async function failure(argv: readonly string[], parts: FakeParts): Promise<unknown> {
    return start(argv, parts).then(
      () => 'started',
      (error: unknown) => error,
    )
  }

  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.stop()))
    await Promise.all(servers.splice(0).map(closeHttpServer))
  })

  it('starts the broker before the bridge and stops them in reverse, the broker drained', async () => {
    const parts = createFakeParts()
    const program = await start(['server'], parts)
    await program.stop()
    expect(parts.calls).to.deep.equal([
      'broker',
      'bridge',
      'bridge close',
      'broker drain',
      'broker close',
    ])
  })

  it('stops once, however often it is told to', async () => {
    const parts = createFakeParts()
    const program = await start(['server'], parts)
    await Promise.all([program.stop(), program.stop()])
    await program.stop()
    expect(parts.calls.filter((call) => call === 'broker close')).to.have.length(1)
  })

  it('goes on stopping when a part does not stop as it should', async () => {
    const parts = createFakeParts({ 'bridge close': new Error('stuck') })
    const program = await start(['server'], parts)
    await program.stop()
    expect(parts.calls.slice(-2)).to.deep.equal(['broker drain', 'broker close'])
  })

  it('starts no bridge for the command broker', async () => {
    const parts = createFakeParts()
    await start(['broker'], parts)
    expect(parts.calls).to.deep.equal(['broker'])
  })

  it('starts no broker and no HTTP for the command bridge', async () => {
    const parts = createFakeParts()
    const program = await start(['bridge', '--broker', 'mqtt://localhost'], parts)
    await program.stop()
    expect(parts.calls).to.deep.equal(['link', 'bridge', 'bridge close'])
    expect(program).not.to.have.any.keys('httpPort', 'mqttPort')
  })

  it('serves the health of a bridge that runs alone where that is asked for', async () => {
    const argv = ['bridge', '--broker', 'mqtt://localhost', '--bridge-http-port', '0']
    const program = await start(argv, createFakeParts())
    expect((await get(program, '/readyz')).status).to.equal(200)
  })

  it('stops what it has started when a part cannot start', async () => {
    const parts = createFakeParts({ bridge: new TypeError('a bug') })
    const error = await failure(['server'], parts)
    expect(error).to.be.instanceOf(TypeError)
    expect(parts.calls.slice(2)).to.deep.equal(['broker drain', 'broker close'])
  })

  it('waits for nothing when it is told to stop, and stops what comes up late', async () => {
    const parts = createFakeParts()
    const store = createMemoryStore({ now: Date.now })
    let arrive: (store: Store) => void = () => {}
    const late = new Promise<Store>((resolve) => (arrive = resolve))
    const closed = new Promise<void>((resolve) => {
      store.close = async () => resolve()
    })
    const { command, config } = configured(['server', '--redis', 'redis://localhost'])
    const slow = { ...parts, createRedisStore: () => late }
    const stopping = new AbortController()
    const starting = startProgram(command, config, slow, silentLogger, stopping.signal)
    stopping.abort()
    const error = await starting.catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(StartupError)
    arrive(store)
    await closed
    expect(parts.calls).to.deep.equal([])
  })

  it('connects to Redis before the broker lets anybody in', async () => {
    const parts = createFakeParts()
    await start(['server', '--redis', 'redis://localhost'], parts)
    expect(parts.calls).to.deep.equal(['redis', 'broker', 'bridge'])
  })

  it('says which MQTT port is taken', async () => {
    const parts = createFakeParts({ broker: withCode('EADDRINUSE') })
    const error = await failure(['server'], parts)
    expect(error).to.be.instanceOf(StartupError)
    expect(error).to.have.property(
      'message',
      'port 1883 on 127.0.0.1 is already in use; choose another with --mqtt-port or PRESENCE_MQTT_PORT',
    )
  })

  it('says which HTTP port is taken before the broker lets anybody in', async () => {
    const server = createServer()
    servers.push(server)
    const port = await listen(server, '127.0.0.1', 0)
    const parts = createFakeParts()
    const { command, config } = configured(['server', '--http-port', String(port)])
    const error = await startProgram(
      command,
      { ...config, httpPort: port },
      parts,
      silentLogger,
    ).catch((reason: unknown) => reason)
    expect(error).to.have.property(
      'message',
      `port ${port} on 127.0.0.1 is already in use; choose another with --http-port or PRESENCE_HTTP_PORT`,
    )
    expect(parts.calls).to.deep.equal([])
  })

  for (const [cause, why] of [
    [withCode('ECONNREFUSED'), 'nothing listens there'],
    [new Error('connect failed', { cause: withCode('ENOTFOUND') }), 'the host is not known'],
    [new Error('connack timeout'), 'it does not answer'],
    [new Error('Connection refused: Not authorized'), 'Connection refused: Not authorized'],
  ] as const) {
    it(`says why a broker cannot be used, without its password: ${why}`, async () => {
      const parts = createFakeParts({ link: cause })
      const error = await failure(['bridge', '--broker', 'mqtt://me:secret@localhost:1'], parts)
      expect(error).to.have.property(
        'message',
        `cannot use the broker at mqtt://localhost:1: ${why}; check --broker or PRESENCE_BROKER`,
      )
    })
  }

  it('hands the user name and the password of the URL to the link', async () => {
    const parts = createFakeParts()
    await start(
      ['bridge', '--broker', 'mqtts://a%40b:p%2Fw@localhost:8883', '--root', 'a/b'],
      parts,
    )
    expect(parts.link).to.deep.include({
      url: 'mqtts://localhost:8883',
      username: 'a@b',
      password: 'p/w',
      clientId: `a-b-bridge-${hostname()}`,
      root: 'a/b',
    })
  })

  it('prefers a user name and a password that are given for themselves', async () => {
    const parts = createFakeParts()
    const flags = ['--broker-username', 'u', '--broker-password', 'p', '--bridge-id', 'x']
    await start(['bridge', '--broker', 'mqtt://a:b@localhost', ...flags], parts)
    expect(parts.link).to.include({ username: 'u', password: 'p', clientId: 'presence-bridge-x' })
    expect(parts.bridge).to.include({ id: 'x', journal: true })
  })

  it('hands each part its options', async () => {
    const parts = createFakeParts()
    await start(['server', '--max-rooms', '7', '--broker-id', 'b', '--grace-left', '1s'], parts)
    const documentLimits = { maxDocumentSize: 65_536, maxRooms: 7 }
    // New for each start: what a broker knew is gone with it.
    expect(parts.broker?.id).to.match(/^b-[0-9a-f]{8}$/)
    expect(parts.broker).to.deep.include({ host: '127.0.0.1', mqttPort: 1883 })
    expect(parts.broker).to.deep.include({ livenessTimeoutMs: 20_000, documentLimits })
    expect(parts.bridge).to.deep.include({ roomGrace: [], roomPaceMaxMs: 500, documentLimits })
    expect(parts.bridge).to.include({ journal: false })
    expect(parts.bridge?.grace).to.include({ left: 1000, broker: 15_000 })
  })

  it('is ready when its bridge is', async () => {
    const parts = createFakeParts()
    const program = await start(['server'], parts)
    expect(await get(program, '/readyz')).to.deep.equal({
      status: 200,
      body: '{"ready":true,"reasons":[]}\n',
    })
    parts.ready = false
    expect(await get(program, '/readyz')).to.deep.equal({
      status: 503,
      body: '{"ready":false,"reasons":["the bridge has no broker or no store, or has not called the roll yet"]}\n',
    })
    expect((await get(program, '/healthz')).status).to.equal(200)
  })

  it('writes the figures of every part for Prometheus', async () => {
    const program = await start(['server'], createFakeParts())
    const { body } = await get(program, '/metrics')
    expect(body).to.include('\npresence_broker_connections 3\n')
    expect(body).to.include(
      '# TYPE presence_broker_stale_total counter\npresence_broker_stale_total 1\n',
    )
    expect(body).to.include('presence_bridge_brokers 2\n')
    expect(body).to.match(/^process_resident_memory_bytes \d+$/m)
    expect(body).to.match(/^process_cpu_seconds_total [\d.]+$/m)
  })
})

/** The configuration of a command line, on any free HTTP port. */
function configured(argv: readonly string[]): { command: Command; config: Config } {
  const result = loadConfig(argv, { PRESENCE_HTTP_PORT: '0' }, () => '{}')
  if (!result.ok || !('config' in result.value)) throw new Error('expected a configuration')
  return result.value
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code })
}

async function get(program: Program, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${program.httpPort}${path}`)
  return { status: response.status, body: await response.text() }
}
