import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { connectClient } from '../helpers/mqtt.ts'
import { isOffline, json, readRetained, watch } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { startRedis, startWatchedRedis } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'
import { createFolder, makeCertificate } from './security/certificates.ts'

describe('Redis over TLS, with a user and a password', function () {
  this.timeout(30_000)

  async function startSecure() {
    const folder = createFolder()
    const authority = makeCertificate(folder, 'authority')
    const { cert, key } = makeCertificate(folder, 'redis', authority)
    const plain = await startRedis()
    const { port } = plain
    await plain.close()
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert]
    const redis = await startRedis('--tls-port', String(port), '--tls-auth-clients', 'no', ...files)
    onTeardown(() => redis.close())
    await redis.command('ACL SETUSER presence on >se:cret ~presence:* &* +@all')
    return { redis, port, env: { NODE_EXTRA_CA_CERTS: authority.cert } }
  }

  it('keeps presence over a restart of the program', async () => {
    const { redis, port, env } = await startSecure()
    const url = `rediss://presence:se%3Acret@127.0.0.1:${port}`
    const options = { flags: ['--redis', url, '--grace-broker', '3s'], env }
    const first = await startProgram(options)
    await connectClient(first, { user: 'alice', clientId: 'a' })
    const since = await sinceOf(first, 'alice')
    expect(await redis.command('CLIENT LIST', 'user=presence')).to.include('user=presence')
    first.kill('SIGKILL')
    await first.exited
    const second = await startProgram(options)
    await connectClient(second, { user: 'alice', clientId: 'a' })
    await eventually('alice is online', async () => (await sinceOf(second, 'alice')) === since)
  })

  it('says what is wrong with a password', async () => {
    const { port, env } = await startSecure()
    const url = `rediss://presence:wrong@127.0.0.1:${port}`
    const outcome = await startProgram({ flags: ['--redis', url], env }).catch(String)
    expect(outcome).to.include(`cannot use the Redis at rediss://presence@127.0.0.1:${port}`)
    expect(outcome).to.include('WRONGPASS')
    expect(outcome).not.to.include('wrong@')
  })
})

describe('Redis that Sentinels watch', function () {
  this.timeout(60_000)

  it('may fail over: nobody is offline who is not, and what comes then is shown', async () => {
    const redis = await startWatchedRedis()
    const server = await startProgram({
      flags: [
        `--redis=${redis.url}`,
        '--redis-topology=sentinel',
        `--redis-nodes=${redis.nodes.join(',')}`,
      ],
    })
    const reader = await watch(server, 'presence/users/+')
    const alice = await connectClient(server, { user: 'alice', clientId: 'a' })
    await connectClient(server, { user: 'bob', clientId: 'b' })
    await reader.caughtUp()
    await pause(500)

    await redis.failOver()
    const over = performance.now()
    await connectClient(server, { user: 'carol', clientId: 'c' })
    await alice.leave()
    const gone = await reader.find(isOffline('alice'), 10_000)
    expect(json(gone)).to.include({ reason: 'left' })
    expect(gone.at - over).to.be.below(10_000)
    await reader.caughtUp()
    const users = await readRetained(server, 'presence/users/+')
    const shown = ['bob', 'carol'].map((user) => users.get(`presence/users/${user}`) ?? '{}')
    expect(shown.map((text) => json({ text })['status'])).to.deep.equal(['online', 'online'])
    expect(reader.messages.filter(isOffline('bob'))).to.deep.equal([])
  })
})

/** Since when a user is online; undefined when it is not. */
async function sinceOf(server: Program, user: string): Promise<unknown> {
  const topic = `presence/users/${user}`
  let shown: Record<string, unknown> = {}
  await eventually(`${user} is shown`, async () => {
    const text = (await readRetained(server, topic)).get(topic)
    if (text !== undefined) shown = json({ text })
    return text !== undefined
  })
  return shown['status'] === 'online' ? shown['since'] : undefined
}
