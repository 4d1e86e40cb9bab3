import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { connectClient } from '../helpers/mqtt.ts'
import { startProgram } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { onTeardown } from '../helpers/teardown.ts'

describe('one of several brokers that is stopped while Redis is away', function () {
  this.timeout(30_000)

  for (const [how, signal] of [
    ['stuck', 'SIGSTOP'],
    ['dead', 'SIGKILL'],
  ] as const) {
    it(`ends in time and says so plainly when Redis is ${how}`, async () => {
      const redis = await startRedis()
      onTeardown(() => redis.close())
      const server = await startProgram({ flags: ['--redis', redis.url, '--cluster'] })
      await connectClient(server, { user: 'alice', clientId: 'a' })
      const before = server.log.length
      redis.signal(signal)
      const at = performance.now()
      const exit = await server.stop()
      expect(exit).to.include({ code: 0 })
      // A bridge waits for its store for 2 s, and a broker for the others for 1 s.
      expect(performance.now() - at).to.be.below(4000)
      const grave = server.log.slice(before).filter(({ level }) => level !== 'info')
      expect(grave.map(({ level, msg }) => `${level}: ${msg}`)).to.deep.equal([
        'warn: the store does not answer; presence waits for it',
        'warn: Redis does not answer: the other brokers learn later that this one has left',
      ])
      expect(JSON.stringify(grave)).not.to.include('Error')
    })
  }

  for (const { title, afterMs, code } of [
    { title: 'takes signals that come together for one', afterMs: 0, code: 0 },
    { title: 'ends at once on a second signal', afterMs: 700, code: 1 },
  ]) {
    it(title, async () => {
      const redis = await startRedis()
      onTeardown(() => redis.close())
      const server = await startProgram({ flags: ['--redis', redis.url, '--cluster'] })
      redis.signal('SIGSTOP')
      server.kill('SIGINT')
      await pause(afterMs)
      server.kill('SIGTERM')
      expect(await server.exited).to.include({ code })
      const isCutShort = server.log.some(({ msg }) => msg.includes('on a second signal'))
      expect(isCutShort).to.equal(code === 1)
    })
  }
})
