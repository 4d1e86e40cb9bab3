import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { formatHelp } from '../../server/config/help.ts'
import { runCli, type Run } from './run-cli.ts'

describe('presence-bridge', () => {
  const runs: Run[] = []
  const servers: Server[] = []

  function run(argv: readonly string[], variables?: Record<string, string>): Run {
    const started = runCli(argv, variables)
    runs.push(started)
    return started
  }

  async function takePort(): Promise<number> {
    const server = createServer()
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  afterEach(async () => {
    for (const { child } of runs) child.kill('SIGKILL')
    await Promise.all(runs.splice(0).map(({ ended }) => ended))
    for (const server of servers.splice(0)) server.close()
  })

  it('--help explains itself on standard output', async () => {
    const outcome = await run(['--help']).ended
    expect(outcome).to.deep.equal({ code: 0, stdout: formatHelp(), stderr: '' })
  })

  it('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    const outcome = await run(['--version']).ended
    expect(outcome).to.deep.equal({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('tells of a misspelt option in one sentence and exits with 1', async () => {
    const stderr = 'unknown option --mqtt-prot; did you mean --mqtt-port?\n'
    expect(await run(['--mqtt-prot', '0']).ended).to.deep.equal({ code: 1, stdout: '', stderr })
  })

  it('tells of a misspelt variable in one sentence and exits with 1', async () => {
    const stderr =
      'unknown environment variable PRESENCE_MQTTPORT; did you mean PRESENCE_MQTT_PORT?\n'
    const outcome = await run([], { PRESENCE_MQTTPORT: '0' }).ended
    expect(outcome).to.deep.equal({ code: 1, stdout: '', stderr })
  })

  it('tells of several mistakes a line each and exits with 1', async () => {
    const stderr =
      'unknown option --mqtt-prot; did you mean --mqtt-port?\n' +
      'unknown environment variable PRESENCE_HOTS; did you mean PRESENCE_HOST?\n' +
      '--http-port: expected a port from 0 to 65535, got "x"\n'
    const argv = ['--mqtt-prot', '0', '--http-port', 'x']
    const outcome = await run(argv, { PRESENCE_HOTS: '::1' }).ended
    expect(outcome).to.deep.equal({ code: 1, stdout: '', stderr })
  })

  it('tells of an MQTT port that is taken in one sentence and exits with 1', async () => {
    const port = await takePort()
    const stderr = `port ${port} on 127.0.0.1 is already in use; choose another with --mqtt-port or PRESENCE_MQTT_PORT\n`
    const outcome = await run(['--mqtt-port', String(port), '--http-port', '0']).ended
    expect(outcome).to.deep.equal({ code: 1, stdout: '', stderr })
  })

  it('tells of an HTTP port that is taken in one sentence and exits with 1', async () => {
    const port = await takePort()
    const stderr = `port ${port} on 127.0.0.1 is already in use; choose another with --http-port or PRESENCE_HTTP_PORT\n`
    const variables = { PRESENCE_HTTP_PORT: String(port), PRESENCE_MQTT_PORT: '0' }
    expect(await run([], variables).ended).to.deep.equal({ code: 1, stdout: '', stderr })
  })

  it('tells of a broker that is not there in one sentence and exits with 1', async () => {
    const port = await takePort()
    await new Promise((resolve) => servers.pop()?.close(resolve))
    const stderr = `cannot use the broker at mqtt://127.0.0.1:${port}: nothing listens there; check --broker or PRESENCE_BROKER\n`
    const outcome = await run(['bridge', '--broker', `mqtt://me:secret@127.0.0.1:${port}`]).ended
    expect(outcome).to.deep.equal({ code: 1, stdout: '', stderr })
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`prints where to connect, logs JSON lines, and exits with 0 on ${signal}`, async () => {
      const started = run([], { PRESENCE_MQTT_PORT: '0', PRESENCE_HTTP_PORT: '0' })
      const text = await started.ready
      expect(text).to.match(/^ {2}MQTT {14}mqtt:\/\/127\.0\.0\.1:\d+$/m)
      expect(text).to.match(/^ {2}MQTT\/WebSocket {4}ws:\/\/127\.0\.0\.1:\d+\/mqtt$/m)
      const url = /http:\S+/.exec(text)?.[0]
      expect((await fetch(`${url}readyz`)).status).to.equal(200)
      started.child.kill(signal)
      const { code, stderr } = await started.ended
      expect(code).to.equal(0)
      const lines = stderr.trim().split('\n')
      const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
      expect(
        messages.filter((msg) => ['ready', 'stopping', 'stopped'].includes(msg)),
      ).to.deep.equal(['ready', 'stopping', 'stopped'])
    })
  }

  it('attaches a bridge that runs alone to a broker that runs alone', async () => {
    const broker = run(['broker'], { PRESENCE_MQTT_PORT: '0', PRESENCE_HTTP_PORT: '0' })
    const url = /mqtt:\S+/.exec(await broker.ready)?.[0] ?? ''
    const bridge = run(['bridge'], { PRESENCE_BROKER: url })
    expect(await bridge.ready).to.include(`  broker            ${url}\n`)
    bridge.child.kill('SIGTERM')
    expect((await bridge.ended).code).to.equal(0)
    broker.child.kill('SIGTERM')
    expect((await broker.ended).code).to.equal(0)
  })
})
