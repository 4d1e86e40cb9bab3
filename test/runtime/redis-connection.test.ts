import { expect } from 'chai'
import { connectRedis, isPassing } from '../../runtime/redis/connection.ts'
import { startRedis, type RedisServer } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'

describe('a connection to Redis', () => {
  async function start(...options: readonly string[]): Promise<RedisServer> {
    const server = await startRedis('--appendonly', 'no', ...options)
    onTeardown(() => server.close())
    return server
  }

  /** How many connections there have been so far, those included that ask. */
  async function accepted(server: RedisServer): Promise<number> {
    const info = await server.command('INFO stats', 'total_commands_processed')
    return Number(/total_connections_received:(\d+)/.exec(info)?.[1])
  }

  it('is not tried again after a refusal', async () => {
    const server = await start()
    await server.command('ACL SETUSER bob on >right ~* +@all')
    const url = server.url.replace('//', '//bob:wrong@')
    expect(await connectRedis({ url }).catch(String)).to.include('WRONGPASS')
    const before = await accepted(server)
    // Longer than a pause before the next try.
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(await accepted(server)).to.equal(before + 1)
  })

  it('refuses commands above 100,000 that wait for Redis, and goes on when it is back', async () => {
    const server = await start()
    const redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    await server.kill()
    await eventually('the connection is lost', async () => {
      return (await within(50, 'an answer', redis.send('x', ['PING'])).catch(String)) !== 'PONG'
    })
    let refused = 0
    let last: Promise<unknown> = Promise.resolve()
    for (let n = 0; n < 100_500; n++) {
      const answer = redis.send('x', ['PING'])
      answer.catch(() => refused++)
      if (n === 99_000) last = answer
    }
    await eventually('some are refused', () => refused >= 500)
    expect(refused).to.be.below(600)
    await server.restart('empty')
    expect(await last).to.equal('PONG')
    expect(await redis.send('x', ['PING'])).to.equal('PONG')
  })

  it('takes what a full Redis answers for something that passes', async () => {
    const server = await start('--maxmemory', '1', '--maxmemory-policy', 'noeviction')
    const redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    const refusal: unknown = await redis.send('k', ['SET', 'k', '1']).catch((error) => error)
    expect(String(refusal)).to.include('OOM')
    expect(isPassing(refusal)).to.equal(true)
    const wrong: unknown = await redis.send('k', ['HGET', 'k']).catch((error) => error)
    expect(isPassing(wrong)).to.equal(false)
  })
})
