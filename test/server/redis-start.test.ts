import { expect } from 'chai'
import { connect } from 'node:net'
import { freePort } from '../helpers/free-port.ts'
import { startRedis, startRedisCluster, type RedisServer } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'
import { runCli, type Run } from './run-cli.ts'

const ANY_PORTS = ['--mqtt-port', '0', '--http-port', '0']

describe('presence-bridge with a Redis that cannot be used', function () {
  this.timeout(40_000)

  async function redisServer(): Promise<RedisServer> {
    const redis = await startRedis()
    onTeardown(() => redis.close())
    return redis
  }

  function start(url: string, ...argv: readonly string[]): Run {
    const run = runCli([...ANY_PORTS, ...argv, '--redis', url])
    onTeardown(async () => {
      run.child.kill('SIGKILL')
      await run.ended
    })
    return run
  }

  for (const argv of [[], ['--cluster'], ['broker', '--cluster']]) {
    const command = ['presence-bridge', ...argv].join(' ')
    it(`${command} tells in one sentence of a password that is missing`, async () => {
      const redis = await redisServer()
      await redis.command('CONFIG SET requirepass secret')
      const stderr = `cannot use the Redis at ${redis.url}: NOAUTH Authentication required; check --redis or PRESENCE_REDIS_URL\n`
      const outcome = await start(redis.url, ...argv).ended
      expect(outcome).to.deep.equal({ code: 1, stdout: '', stderr })
    })
  }

  for (const argv of [[], ['--cluster']]) {
    const command = ['presence-bridge', ...argv].join(' ')
    it(`${command} tells in one sentence of a node of a Cluster`, async () => {
      const cluster = await startRedisCluster()
      onTeardown(() => cluster.close())
      const stderr = `cannot use the Redis at ${cluster.url}: it is one of 3 masters of a Cluster; set --redis-topology cluster\n`
      const outcome = await start(cluster.url, ...argv).ended
      expect(outcome).to.deep.equal({ code: 1, stdout: '', stderr })
    })
  }

  it('tells in one sentence of a user who may not run scripts', async () => {
    const redis = await redisServer()
    await redis.command('ACL SETUSER bob on >right ~* &* +@all -@scripting')
    const { code, stderr } = await start(redis.url.replace('//', '//bob:right@')).ended
    expect(code).to.equal(1)
    expect(stderr).to.match(/^cannot use the Redis at [^\n]+: NOPERM [^\n]+\n$/)
  })

  it('says that it waits, for what and how long, and then one sentence', async () => {
    const [plain, stuck] = await Promise.all([redisServer(), redisServer()])
    stuck.signal('SIGSTOP')
    const dead = `redis://ann:secret@127.0.0.1:${await freePort()}`
    const notSecure = plain.url.replace('redis:', 'rediss:')
    const ways = [
      { url: dead, why: 'nothing listens there' },
      { url: notSecure, why: 'it does not answer' },
      { url: stuck.url, why: 'it does not answer' },
      { url: plain.url, why: "ERR unknown command 'SENTINEL'.*", topology: 'sentinel' },
    ]
    const seen = ways.map(async ({ url, why, topology = 'single' }) => {
      const { code, stdout, stderr } = await start(url, '--redis-topology', topology).ended
      const shown = url.replace(':secret', '')
      expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' })
      const [warning = '', sentence, ...rest] = stderr.trimEnd().split('\n')
      const words = { level: 'warn', msg: 'waiting for Redis', redis: shown, atMostMs: 10_000 }
      expect(JSON.parse(warning)).to.include(words)
      expect(sentence).to.match(new RegExp(`^cannot use the Redis at ${shown}: ${why}; check `))
      expect(rest).to.deep.equal([])
    })
    await Promise.all(seen)
  })

  for (const argv of [[], ['broker', '--cluster']]) {
    const command = ['presence-bridge', ...argv].join(' ')
    it(`${command} ends at once when it is told to while it waits`, async () => {
      const { child, ended } = start(`redis://127.0.0.1:${await freePort()}`, ...argv)
      let said = ''
      child.stderr?.on('data', (text: string) => (said += text))
      await eventually('it waits', () => said.includes('waiting for Redis'), 10_000)
      const at = performance.now()
      child.kill('SIGTERM')
      const { code, stderr } = await ended
      expect(performance.now() - at).to.be.below(1000)
      expect(code).to.equal(0)
      const lines = stderr.trimEnd().split('\n')
      const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
      expect(messages).to.deep.equal(['waiting for Redis', 'stopping', 'stopped'])
    })
  }

  it('lets nobody in while it waits, and says that it is not ready', async () => {
    const [mqttPort, httpPort] = [await freePort(), await freePort()]
    const ports = ['--mqtt-port', String(mqttPort), '--http-port', String(httpPort)]
    const { child } = start(`redis://127.0.0.1:${await freePort()}`, ...ports)
    let said = ''
    child.stderr?.on('data', (text: string) => (said += text))
    await eventually('it waits', () => said.includes('waiting for Redis'), 10_000)
    expect((await fetch(`http://127.0.0.1:${httpPort}/readyz`)).status).to.equal(503)
    expect(await isOpen(mqttPort)).to.equal(false)
  })
})

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('connect', () => socket.destroy()).on('error', () => resolve(false))
  })
}
