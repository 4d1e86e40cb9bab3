import { expect } from 'chai'
import { ErrorReply } from 'redis'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import {
  createLogWriter,
  type LogWriter,
  type NewEntry,
} from '../../../broker/cluster/log-writer.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'
import { startRedis } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const keys = createClusterKeys('test')
const APPEND = new URL('../../../broker/cluster/scripts/append.lua', import.meta.url)
const NOTHING = Buffer.alloc(0)

/** An answer that Redis has yet to give. */
interface Call {
  readonly heads: readonly string[]
  readonly number: number
  answer(): void
  fail(error: Error): void
}

/** A writer whose script is this test. */
function setUp(): {
  readonly clock: ManualClock
  readonly writer: LogWriter
  readonly calls: Call[]
  readonly dropped: NewEntry[]
  readonly errors: unknown[]
} {
  const clock = new ManualClock()
  const calls: Call[] = []
  const dropped: NewEntry[] = []
  const errors: unknown[] = []
  const script: Script = (_, args) =>
    new Promise((resolve, reject) => {
      const heads = args.filter((_arg, i) => i >= 3 && (i - 3) % 5 === 0).map(String)
      calls.push({ heads, number: Number(args[1]), answer: () => resolve(1), fail: reject })
    })
  const writer = createLogWriter({
    broker: 'one',
    keys,
    clock,
    script,
    onDropped: (entry) => dropped.push(entry),
    onError: (error) => errors.push(error),
  })
  onTeardown(() => writer.close(0))
  return { clock, writer, calls, dropped, errors }
}

function word(head: string, bytes = 0): NewEntry {
  return { head, message: Buffer.alloc(bytes) }
}

describe('the writer of the log', () => {
  it('sends in one batch what was said in one turn, and then what came meanwhile', async () => {
    const { clock, writer, calls } = setUp()
    for (const head of ['a', 'b', 'c']) writer.append(word(head))
    await clock.advance(0)
    for (const head of ['d', 'e']) writer.append(word(head))
    await clock.advance(0)
    expect(calls.map(({ heads }) => heads)).to.deep.equal([['a', 'b', 'c']])
    calls[0]?.answer()
    await clock.advance(0)
    expect(calls.map(({ heads }) => heads)).to.deep.equal([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ])
    expect(calls.map(({ number }) => number)).to.deep.equal([1, 2])
  })

  it('sends no batch that is too large, but an entry that is', async () => {
    const { clock, writer, calls } = setUp()
    for (const [head, bytes] of [
      ['a', 600_000],
      ['b', 600_000],
      ['c', 2_000_000],
      ['d', 1],
    ] as const) {
      writer.append(word(head, bytes))
    }
    for (let i = 0; i < 300; i++) writer.append(word('x'))
    for (let i = 0; i < 6; i++) {
      await clock.advance(0)
      calls[i]?.answer()
    }
    expect(calls.slice(0, 3).map(({ heads }) => heads)).to.deep.equal([['a'], ['b'], ['c']])
    expect(calls.slice(3).map(({ heads }) => heads.length)).to.deep.equal([256, 45])
  })

  it('calls back when the log has the entry, not before', async () => {
    const { clock, writer, calls } = setUp()
    let isDone = false
    writer.append(word('a'), () => (isDone = true))
    await clock.advance(900)
    expect(isDone).to.equal(false)
    calls[0]?.answer()
    await clock.advance(0)
    expect(isDone).to.equal(true)
  })

  it('lets nobody wait for a Redis that is silent for a second, or away', async () => {
    const { clock, writer, calls } = setUp()
    const done: string[] = []
    writer.append(word('a'), () => done.push('a'))
    await clock.advance(0)
    writer.append(word('b'), () => done.push('b'))
    await clock.advance(999)
    expect(done).to.deep.equal([])
    await clock.advance(1)
    expect(done.toSorted()).to.deep.equal(['a', 'b'])
    writer.append(word('c'), () => done.push('c'))
    expect(done).to.have.length(3)
    // As soon as it answers again it is waited for.
    calls[0]?.answer()
    await clock.advance(0)
    calls[1]?.answer()
    await clock.advance(0)
    writer.append(word('d'), () => done.push('d'))
    await clock.advance(0)
    expect(done).to.have.length(3)
    calls[2]?.answer()
    await clock.advance(0)
    expect(done).to.have.length(4)
  })

  it('tries the same batch again when Redis was away, in order', async () => {
    const { clock, writer, calls } = setUp()
    writer.append(word('a'))
    await clock.advance(0)
    writer.append(word('b'))
    calls[0]?.fail(new Error('the socket is closed'))
    await eventually('another try', () => calls.length === 2)
    expect(calls[1]).to.include({ number: 1 })
    expect(calls[1]?.heads).to.deep.equal(['a'])
    calls[1]?.answer()
    await eventually('the next', () => calls.length === 3)
    expect(calls[2]?.heads).to.deep.equal(['b'])
  })

  it('gives a batch up that Redis refuses for good, tells so, and goes on', async () => {
    const { clock, writer, calls, dropped, errors } = setUp()
    writer.append(word('a'))
    await clock.advance(0)
    writer.append(word('b'))
    calls[0]?.fail(new ErrorReply('OOM command not allowed'))
    await clock.advance(0)
    expect(dropped.map(({ head }) => head)).to.deep.equal(['a'])
    expect(errors).to.have.length(1)
    expect(writer.dropped).to.equal(1)
    expect(calls[1]?.heads).to.deep.equal(['b'])
  })

  it('drops the oldest when too much waits, and those who waited go on', async () => {
    const { clock, writer, calls, dropped } = setUp()
    writer.append(word('first'))
    await clock.advance(0)
    const done: string[] = []
    for (let i = 0; i < 70; i++) {
      writer.append(word(`w${i}`, 1024 * 1024), () => done.push(`w${i}`))
    }
    const heads = dropped.map(({ head }) => head)
    expect(heads).to.deep.equal(heads.map((_, i) => `w${i}`))
    expect(heads.length).to.be.within(6, 8)
    expect(done).to.deep.equal(heads)
    expect([...writer.waiting()]).to.have.length(70 - heads.length)
    expect(calls).to.have.length(1)
  })

  it('holds back what comes until it is told to go on', async () => {
    const { clock, writer, calls } = setUp()
    writer.append(word('a'))
    await clock.advance(0)
    let isHeld = false
    const held = writer.hold().then(() => (isHeld = true))
    writer.append(word('b'))
    await clock.advance(0)
    expect(isHeld).to.equal(false)
    calls[0]?.answer()
    await held
    await clock.advance(0)
    expect(calls).to.have.length(1)
    expect([...writer.waiting()].map(({ head }) => head)).to.deep.equal(['b'])
    writer.resume()
    expect(calls[1]?.heads).to.deep.equal(['b'])
  })
})

describe('the writer of the log, on Redis', () => {
  async function connect(): Promise<RedisConnection> {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    const redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    await redis.send(keys.head, ['HSET', keys.head, 'epoch', 'this one'])
    return redis
  }

  function write(broker: string, script: Script): LogWriter {
    const writer = createLogWriter({
      broker,
      keys,
      clock: new ManualClock(),
      script,
      onDropped: () => {},
      onError: (error) => {
        throw error
      },
    })
    onTeardown(() => writer.close(0))
    return writer
  }

  async function logOf(redis: RedisConnection): Promise<readonly string[]> {
    const entries = (await redis.send(keys.log, ['XRANGE', keys.log, '-', '+'])) as readonly [
      string,
      readonly string[],
    ][]
    return entries.map(([id, fields]) => `${id} ${fields[1]} ${fields[3]}`)
  }

  it('numbers the entries of all brokers in one row', async () => {
    const redis = await connect()
    const [one, two] = ['one', 'two'].map((name) => write(name, loadScriptFile(redis, APPEND)))
    const written: Promise<void>[] = []
    for (let i = 0; i < 100; i++) {
      for (const writer of [one, two]) {
        written.push(new Promise((resolve) => writer?.append(word(String(i)), resolve)))
      }
      if (i % 7 === 0) await Promise.all(written)
    }
    await Promise.all(written)
    const log = await logOf(redis)
    expect(log.map((entry) => entry.split(' ')[0])).to.deep.equal(log.map((_, i) => `${i + 1}-0`))
    for (const name of ['one', 'two']) {
      const own = log.filter((entry) => entry.includes(` ${name} `))
      expect(own.map((entry) => entry.split(' ')[2])).to.deep.equal(own.map((_, i) => String(i)))
      expect(own).to.have.length(100)
    }
  })

  it('appends a batch once whose answer was lost', async () => {
    const redis = await connect()
    const append = loadScriptFile(redis, APPEND)
    let calls = 0
    const writer = write('one', async (...args) => {
      const answer = await append(...args)
      if (++calls % 2 === 1) throw new Error('the socket is closed')
      return answer
    })
    for (const head of ['a', 'b', 'c']) {
      writer.append(word(head))
      await eventually('it is written', () => calls > 0 && calls % 2 === 0)
      calls = 0
    }
    expect(await logOf(redis)).to.deep.equal(['1-0 one a', '2-0 one b', '3-0 one c'])
  })

  it('retains again what was lost, unless somebody has retained or cleared it since', async () => {
    const redis = await connect()
    const [one, two] = ['one', 'two'].map((name) => write(name, loadScriptFile(redis, APPEND)))
    const append = (writer: LogWriter | undefined, head: string, entry: object): Promise<void> =>
      new Promise((resolve) => writer?.append({ ...word(head, 1), ...entry }, resolve))
    await append(one, 'a', { retainedOn: 'changed' })
    await append(one, 'b', { retainedOn: 'changed' })
    await append(one, 'c', { retainedOn: 'cleared', clears: true })
    for (const retainedOn of ['changed', 'cleared', 'lost']) {
      await append(two, 'again', { retainedOn, unlessSince: 1 })
    }
    expect(await logOf(redis)).to.deep.equal([
      '1-0 one a',
      '2-0 one b',
      '3-0 one c',
      '4-0 two again',
    ])
    const retained = (await redis.send(keys.retained, ['HGETALL', keys.retained])) as string[]
    expect(retained.map((text) => text.split('\n').slice(0, 2).join(' '))).to.have.members([
      'changed',
      '2 b',
      'lost',
      '4 again',
    ])
  })

  it('waits with what it has to say until an empty Redis is known as such', async () => {
    const redis = await connect()
    await redis.send(keys.head, ['FLUSHALL'])
    const writer = write('one', loadScriptFile(redis, APPEND))
    const written = new Promise<void>((resolve) => writer.append(word('a'), resolve))
    // Nobody waits for that, but it is not lost.
    await written
    expect(await logOf(redis)).to.deep.equal([])
    await redis.send(keys.head, ['HSET', keys.head, 'epoch', 'another', 'count', '500'])
    await eventually('it is written', async () => (await logOf(redis)).length > 0)
    expect(await logOf(redis)).to.deep.equal(['501-0 one a'])
  })

  it('retains with the number of the entry, and clears', async () => {
    const redis = await connect()
    const writer = write('one', loadScriptFile(redis, APPEND))
    const append = (entry: NewEntry): Promise<void> =>
      new Promise((resolve) => writer.append(entry, resolve))
    await append({ head: 'h', message: Buffer.from('m'), retainedOn: 'odd\n topic' })
    await append({ head: 'i', message: Buffer.from('n'), retainedOn: 'other' })
    await append({ head: 'j', message: NOTHING, retainedOn: 'odd\n topic', clears: true })
    const retained = await redis.send(keys.retained, ['HGETALL', keys.retained])
    expect(retained).to.deep.equal(['other', '2\ni\nn'])
  })
})
