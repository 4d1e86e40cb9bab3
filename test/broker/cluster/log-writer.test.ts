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
const BEAT = new URL('../../../broker/cluster/scripts/beat.lua', import.meta.url)
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
  /** How often Redis has refused something, since it may have lost something. */
  readonly refused: () => number
} {
  const clock = new ManualClock()
  const calls: Call[] = []
  const dropped: NewEntry[] = []
  const errors: unknown[] = []
  let refused = 0
  const script: Script = (_, args) =>
    new Promise((resolve, reject) => {
      const heads = args.filter((_arg, i) => i >= 4 && (i - 4) % 5 === 0).map(String)
      calls.push({ heads, number: Number(args[1]), answer: () => resolve(1), fail: reject })
    })
  const writer = createLogWriter({
    broker: 'one',
    keys,
    clock,
    script,
    onDropped: (entry) => dropped.push(entry),
    onRefused: () => refused++,
    onError: (error) => errors.push(error),
  })
  onTeardown(() => writer.close(0))
  return { clock, writer, calls, dropped, errors, refused: () => refused }
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
    calls[0]?.fail(new ErrorReply('WRONGTYPE Operation against a key'))
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

  it('lets nobody wait longer for what it holds back', async () => {
    const { clock, writer, calls } = setUp()
    await writer.hold()
    const done: string[] = []
    writer.append(word('a'), () => done.push('a'))
    await clock.advance(999)
    expect(done).to.deep.equal([])
    await clock.advance(1)
    expect(done).to.deep.equal(['a'])
    expect(calls).to.have.length(0)
  })

  it('lets nobody wait longer behind others who are answered', async () => {
    const { clock, writer, calls } = setUp()
    const done: string[] = []
    writer.append(word('a'))
    await clock.advance(0)
    for (let i = 0; i < 600; i++) writer.append(word('b'))
    writer.append(word('last'), () => done.push('last'))
    for (const call of [0, 1]) {
      await clock.advance(499)
      calls[call]?.answer()
      await clock.advance(0)
    }
    writer.append(word('later'), () => done.push('later'))
    expect(done).to.deep.equal([])
    await clock.advance(2)
    expect(done).to.deep.equal(['last'])
    await clock.advance(996)
    calls[2]?.answer()
    await clock.advance(2)
    expect(done).to.deep.equal(['last', 'later'])
  })

  it('waits for a Redis that has answered the last one at once', async () => {
    const { clock, writer, calls } = setUp()
    writer.append(word('a'), () => {})
    await clock.advance(0)
    calls[0]?.answer()
    await clock.advance(5000)
    let isDone = false
    writer.append(word('b'), () => (isDone = true))
    expect(isDone).to.equal(false)
  })

  it('writes what it holds back when it is closed', async () => {
    const { clock, writer, calls } = setUp()
    await writer.hold()
    writer.append(word('a'))
    const closed = writer.close(1000)
    await clock.advance(0)
    expect(calls.map(({ heads }) => heads)).to.deep.equal([['a']])
    calls[0]?.answer()
    await closed
  })

  it('gives back what is to be retained again, which has to be decided anew', async () => {
    const { clock, writer, calls } = setUp()
    await writer.hold()
    const again = ['t', 'u'].map((retainedOn) => ({ ...word('r'), retainedOn, unlessSince: 1 }))
    writer.trust('this one', again)
    writer.append({ ...word('a'), retainedOn: 't' })
    expect(writer.takeBack(0)).to.deep.equal(['t', 'u'])
    expect([...writer.waiting()].map(({ head }) => head)).to.deep.equal(['a'])
    writer.resume()
    await clock.advance(0)
    expect(calls.map(({ heads }) => heads)).to.deep.equal([['a']])
  })

  it('waits with everything when Redis may have lost something, until that is compared', async () => {
    const { clock, writer, calls, refused } = setUp()
    writer.append(word('a'))
    await clock.advance(0)
    writer.append(word('b'))
    calls[0]?.fail(new ErrorReply('NEWDATA it may have lost something'))
    await clock.advance(100)
    expect(refused()).to.equal(1)
    expect(calls).to.have.length(1)
    await writer.hold()
    expect(writer.takeBack(0)).to.deep.equal([])
    expect([...writer.waiting()].map(({ head }) => head)).to.deep.equal(['a', 'b'])
    writer.trust('another', [word('first')])
    writer.resume()
    expect(calls[1]?.heads).to.deep.equal(['first', 'a', 'b'])
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

/** A writer that says whether Redis has refused something, since it may have lost something. */
type Write = LogWriter & { readonly broker: string; readonly isRefused: boolean }

describe('the writer of the log, on Redis', () => {
  async function start(...options: readonly string[]) {
    const server = await startRedis(...options)
    onTeardown(() => server.close())
    const redis = await connectRedis({ url: server.url })
    onTeardown(() => redis.close())
    await beat(redis, 'this one')
    await redis.send(keys.head, ['HSET', keys.head, 'count', '0'])
    return { server, redis }
  }

  async function connect(): Promise<RedisConnection> {
    return (await start('--appendonly', 'no')).redis
  }

  function write(broker: string, script: Script): Write {
    let isRefused = false
    const writer = createLogWriter({
      broker,
      keys,
      clock: new ManualClock(),
      script,
      onDropped: () => {},
      onRefused: () => (isRefused = true),
      onError: (error) => {
        throw error
      },
    })
    onTeardown(() => writer.close(0))
    writer.trust('this one', [])
    return {
      ...writer,
      broker,
      get isRefused() {
        return isRefused
      },
    }
  }

  /** What a broker does that has compared what it has with this data. */
  async function goOn(
    redis: RedisConnection,
    writer: Write | undefined,
    data: string,
    first: readonly NewEntry[] = [],
  ): Promise<void> {
    if (!writer) return
    await writer.hold()
    const last = await redis.send(keys.batches, ['HGET', keys.batches, writer.broker])
    writer.takeBack(Number(last))
    writer.trust(data, first)
    writer.resume()
  }

  /** A broker that has read so far beats; data that may have lost something gets that name. */
  async function beat(redis: RedisConnection, name: string, read = 0): Promise<unknown> {
    const args = ['one', name, String(read), '9000']
    return loadScriptFile(redis, BEAT)([keys.brokers, keys.head, keys.estates], args)
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
    writer.append(word('a'))
    await eventually('it was refused', () => writer.isRefused)
    await beat(redis, 'another', 500)
    expect(await logOf(redis)).to.deep.equal([])
    await goOn(redis, writer, 'another')
    await eventually('it is written', async () => (await logOf(redis)).length > 0)
    expect(await logOf(redis)).to.deep.equal(['1000501-0 one a'])
  })

  it('writes nothing to older data before a broker has put the numbers above all that were read', async () => {
    // What lasts is what it had when it was saved.
    const { server, redis } = await start('--appendonly', 'no')
    const [one, two] = ['one', 'two'].map((name) => write(name, loadScriptFile(redis, APPEND)))
    const append = (writer: Write | undefined, head: string): Promise<void> =>
      new Promise((resolve) => writer?.append(word(head), resolve))
    await append(one, 'a')
    await redis.send(keys.log, ['SAVE'])
    await append(one, 'lost')
    await server.restart('with data')
    one?.append(word('b'))
    await eventually('it was refused', () => one?.isRefused === true)
    expect(await logOf(redis)).to.deep.equal(['1-0 one a'])
    await beat(redis, 'later', 2)
    two?.append(word('c'))
    await eventually('so was the other', () => two?.isRefused === true)
    for (const writer of [one, two]) await goOn(redis, writer, 'later')
    await eventually('both are written', async () => (await logOf(redis)).length === 3)
    expect((await logOf(redis)).map((entry) => entry.split(' ')[0])).to.deep.equal([
      '1-0',
      '1000003-0',
      '1000004-0',
    ])
  })

  it('writes what is retained again before what waits, and nothing twice', async () => {
    const redis = await connect()
    const append = loadScriptFile(redis, APPEND)
    let isAnswerLost = true
    const writer = write('one', async (...args) => {
      const answer = await append(...args)
      if (isAnswerLost) throw new Error('the socket is closed')
      return answer
    })
    writer.append(word('there'))
    await eventually('it is there', async () => (await logOf(redis)).length === 1)
    // A new name for the same data: the batch comes again, and is refused.
    await redis.send(keys.head, ['HSET', keys.head, 'epoch', 'later'])
    await eventually('it was refused', () => writer.isRefused)
    isAnswerLost = false
    writer.append(word('diff'))
    const snapshot = { ...word('snapshot', 1), retainedOn: 't', unlessSince: 1 }
    await goOn(redis, writer, 'later', [snapshot])
    await eventually('all is written', async () => (await logOf(redis)).length >= 3)
    expect(await logOf(redis)).to.deep.equal(['1-0 one there', '2-0 one snapshot', '3-0 one diff'])
    // The same when it had not got there.
    await redis.send(keys.head, ['HSET', keys.head, 'epoch', 'latest'])
    writer.append(word('later diff'))
    await eventually('it was refused', () => writer.isRefused)
    await goOn(redis, writer, 'latest', [{ ...snapshot, head: 'later', unlessSince: 3 }])
    await eventually('all is written', async () => (await logOf(redis)).length >= 5)
    expect((await logOf(redis)).slice(3)).to.deep.equal(['4-0 one later', '5-0 one later diff'])
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
