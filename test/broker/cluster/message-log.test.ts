import { expect } from 'chai'
import { ErrorReply } from 'redis'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import { decodeEntry, decodeEntryMessage } from '../../../broker/cluster/entries.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import type { RawEntry } from '../../../broker/cluster/log-reader.ts'
import { createMessageLog, type MessageLog } from '../../../broker/cluster/message-log.ts'
import { readStored } from '../../../broker/cluster/read-stored.ts'
import { createFanoutEmitter } from '../../../broker/fanout/emitter.ts'
import { MemoryPersistence } from '../../../broker/persistence/memory-persistence.ts'
import { silentLogger } from '../../../runtime/logger.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'
import { startRedis, type RedisServer } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const keys = createClusterKeys('test')

/** What of a broker is about messages, without Aedes and clients. */
interface Node {
  readonly log: MessageLog
  readonly store: MemoryPersistence
  readonly clock: ManualClock
  /** What its readers got: topics and payloads. */
  readonly got: string[]
  publish(topic: string, payload: string, retain?: boolean): Promise<void>
  retained(topic: string): string | undefined
}

/** What stands between a broker and Redis. */
interface Between {
  readonly reading?: (read: () => Promise<unknown>) => Promise<unknown>
  readonly append?: (args: readonly unknown[]) => Promise<void>
}

describe('the log of messages', function () {
  this.timeout(10_000)
  let server: RedisServer
  let redis: RedisConnection

  beforeEach(async () => {
    server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    await beat('first')
  })

  function script(name: string, on = redis): Script {
    return loadScriptFile(
      on,
      new URL(`../../../broker/cluster/scripts/${name}.lua`, import.meta.url),
    )
  }

  /** Data that may have lost something gets this name. */
  async function beat(data: string, read = 0): Promise<void> {
    const args = ['somebody', data, String(read), '9000']
    await script('beat')([keys.brokers, keys.head, keys.estates], args)
  }

  async function start(
    broker: string,
    { reading = (read) => read(), append = async () => {} }: Between = {},
    store = new MemoryPersistence({ isSentByFanout: true }),
  ): Promise<Node> {
    const clock = new ManualClock()
    const own = await connectRedis({ url: server.url })
    const forReading = await connectRedis({ url: server.url })
    const fanout = createFanoutEmitter({ queueOf: (clientId) => store.queueOf(clientId) })
    const got: string[] = []
    fanout.on('#', ({ topic, payload }, done) => {
      got.push(`${topic} ${String(payload)}`)
      done()
    })
    const run = script('append', own)
    const log = createMessageLog({
      broker,
      root: 'presence',
      keys,
      redis: own,
      redisForReading: {
        ...forReading,
        sendForBytes: (...command) => reading(() => forReading.sendForBytes(...command)),
      },
      clock,
      logger: silentLogger,
      append: async (where, args) => {
        await append(args)
        return run(where, args)
      },
      store,
      fanout,
      onWord: () => {},
      onSynchronised: () => {},
      onError: () => {},
    })
    await log.start()
    onTeardown(async () => {
      await log.finish(0)
      log.close()
      for (const one of [own, forReading]) one.close()
    })
    let counter = 0
    return {
      log,
      store,
      clock,
      got,
      retained: (topic) => {
        const payload = store.retainedPayload(topic)
        return payload === undefined ? undefined : String(payload)
      },
      async publish(topic, payload, retain = true) {
        const packet: EmittedPacket = {
          cmd: 'publish',
          topic,
          payload: Buffer.from(payload),
          qos: 1,
          retain,
          dup: false,
          brokerId: broker,
          brokerCounter: ++counter,
        }
        if (retain) await store.storeRetained(packet)
        await new Promise<unknown>((resolve) => log.emitter.emit(packet, resolve))
      },
    }
  }

  async function stored(topic: string): Promise<string | undefined> {
    const { packet } = (await readStored(redis, keys)).retained.get(topic) ?? {}
    return packet && String(packet.payload)
  }

  /** The payloads in the log. */
  async function logged(): Promise<readonly string[]> {
    const range = ['XRANGE', keys.log, '-', '+']
    const raw = (await redis.sendForBytes(keys.log, range)) as readonly RawEntry[]
    const messages = raw.map(decodeEntry).filter(({ message }) => message.length > 0)
    return messages.map((entry) => String(decodeEntryMessage(entry).payload))
  }

  it('tells again what Redis has lost, before what comes after it', async () => {
    const one = await start('one')
    await one.publish('room', 'snapshot 1')
    await redis.send(keys.log, ['SAVE'])
    await one.publish('room', 'snapshot 2')
    const { position } = one.log
    await server.restart('with data')
    const later = one.publish('events', 'diff 2', false)
    await eventually('what is lost is lost', async () => (await stored('room')) === 'snapshot 1')
    await beat('later', position)
    one.log.doubt()
    await later
    await eventually('it is there', async () => (await logged()).length === 3)
    expect(await logged()).to.deep.equal(['snapshot 1', 'snapshot 2', 'diff 2'])
    expect(await stored('room')).to.equal('snapshot 2')
    expect(one.retained('room')).to.equal('snapshot 2')
  })

  it('keeps what is to be told again when what is retained is compared once more', async () => {
    let isOpen = true
    let waiting = 0
    const append = async (args: readonly unknown[]): Promise<void> => {
      if (args.length === 4) return
      waiting++
      await eventually('it may go on', () => isOpen)
      waiting--
    }
    let reads = 0
    const reading = (read: () => Promise<unknown>): Promise<unknown> =>
      read().finally(() => reads++)
    const one = await start('one', { append, reading })
    const topics = Array.from({ length: 600 }, (_, i) => `t${i}`)
    await Promise.all(topics.map((topic) => one.publish(topic, 'x')))
    await redis.send(keys.log, ['FLUSHALL'])
    await beat('second', one.log.position)
    isOpen = false
    one.log.doubt()
    await eventually('it is told again', () => waiting === 1)
    one.log.doubt()
    // The rest waits when the first part has been told.
    const before = reads
    await eventually('it wants to compare', () => reads > before)
    isOpen = true
    await eventually('it is compared again', () => one.log.metrics()['clusterGaps'] === 2)
    await eventually('all is there', async () => {
      const { retained } = await readStored(redis, keys)
      return retained.size === topics.length
    })
    expect(topics.filter((topic) => one.retained(topic) !== 'x')).to.deep.equal([])
    expect(one.got).to.have.length(topics.length)
  })

  it('retains what others retain where its own message was never read', async () => {
    let isOpen = true
    let isWaiting = false
    const reading = async (read: () => Promise<unknown>): Promise<unknown> => {
      isWaiting = !isOpen
      await eventually('it may read', () => isOpen)
      return read()
    }
    const [one, two] = [await start('one', { reading }), await start('two')]
    isOpen = false
    await eventually('it does not read', () => isWaiting)
    await one.publish('t', 'mine')
    await redis.send(keys.log, ['XTRIM', keys.log, 'MAXLEN', '0'])
    await two.publish('t', 'theirs')
    isOpen = true
    await eventually('the gap is noticed', () => one.log.metrics()['clusterGaps'] === 1)
    await eventually('it is retained', () => one.retained('t') === 'theirs')
    await two.publish('t', 'later')
    await eventually('so is what comes later', () => one.retained('t') === 'later')
    expect([...one.log.unread()]).to.deep.equal([])
  })

  it('tells again what Redis has refused', async () => {
    let isRefusing = false
    const append = async (args: readonly unknown[]): Promise<void> => {
      if (isRefusing && args.length > 4) throw new ErrorReply('WRONGTYPE it is another kind of key')
    }
    const [one, two] = [await start('one', { append }), await start('two')]
    for (const topic of ['t', 'gone']) await two.publish(topic, 'old')
    await eventually('they are read', () => one.retained('gone') === 'old')
    isRefusing = true
    for (const topic of ['t', 'new']) await one.publish(topic, 'mine')
    await one.publish('gone', '')
    expect(one.log.metrics()).to.include({ clusterDropped: 3 })
    isRefusing = false
    await one.clock.advance(3000)
    await eventually('it is told again', async () => (await stored('t')) === 'mine')
    const topics = ['t', 'new', 'gone']
    const wanted = ['mine', 'mine', undefined]
    expect(topics.map((topic) => one.retained(topic))).to.deep.equal(wanted)
    expect(await Promise.all(topics.map(stored))).to.deep.equal(wanted)
    await two.publish('t', 'theirs')
    await eventually('others retain there', () => one.retained('t') === 'theirs')
    expect([...one.log.unread()]).to.deep.equal([])
  })

  it('gives readers nothing twice that Redis has lost, whoever tells it again', async () => {
    const [one, two] = [await start('one'), await start('two')]
    await one.publish('t', 'x')
    await two.publish('u', 'y')
    await eventually('they are read', () => one.got.length === 2 && two.got.length === 2)
    two.store.keepSession('phone')
    await two.store.addSubscriptions({ id: 'phone' }, [{ topic: '#', qos: 1 }])
    await redis.send(keys.log, ['FLUSHALL'])
    await beat('second', one.log.position)
    // The other one has not noticed when it reads what this one tells again.
    one.log.doubt()
    await eventually('it is told again', async () => (await stored('u')) === 'y')
    two.log.doubt()
    await eventually('both have compared', () => two.log.metrics()['clusterGaps'] === 1)
    await one.publish('end', 'x', false)
    await eventually('the last one', () => two.got.includes('end x'))
    expect(one.got).to.have.members(['t x', 'u y', 'end x'])
    expect(two.got).to.have.members(['t x', 'u y', 'end x'])
    expect([...(two.store.queueOf('phone')?.keys() ?? [])]).to.deep.equal(['one:2'])
  })

  it('gives a session everything that it has missed, whoever it is of', async () => {
    for (const name of ['one', 'two']) await (await start(name)).publish(`of/${name}`, 'x')
    const store = new MemoryPersistence({ isSentByFanout: true })
    store.keepSession('phone')
    await store.addSubscriptions({ id: 'phone' }, [{ topic: '#', qos: 1 }])
    const three = await start('three', {}, store)
    expect(three.store.queueOf('phone')?.size).to.equal(2)
  })

  it('compares nothing with data of which nobody knows whether it has lost something', async () => {
    let looks = 0
    const append = async (args: readonly unknown[]): Promise<void> => {
      if (args.length === 4) looks++
    }
    const one = await start('one', { append })
    await one.publish('t', 'x')
    await eventually('it is read', () => [...one.log.unread()].length === 0)
    await redis.send(keys.retained, ['DEL', keys.retained])
    await redis.send(keys.head, ['HSET', keys.head, 'node', 'another'])
    one.log.doubt()
    const before = looks
    await eventually('it has tried', () => looks > before + 2)
    expect(one.retained('t')).to.equal('x')
    await beat('later', one.log.position)
    await eventually('it is told again', async () => (await stored('t')) === 'x')
    expect(one.got).to.deep.equal(['t x'])
  })
})
