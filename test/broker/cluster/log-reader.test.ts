import { expect } from 'chai'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { createLogReader, type LogReader } from '../../../broker/cluster/log-reader.ts'
import { connectRedis, type RedisConnection } from '../../../runtime/redis/connection.ts'
import { startRedis } from '../../helpers/redis.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const keys = createClusterKeys('test')

interface Stage {
  readonly redis: RedisConnection
  readonly reader: LogReader
  readonly read: readonly number[]
  readonly synchronised: () => number
  readonly errors: readonly unknown[]
  readonly add: (...numbers: readonly number[]) => Promise<void>
}

describe('the reader of the log', function () {
  this.timeout(10_000)

  async function begin(
    position: number,
    synchronise: (call: number) => Promise<number> = () => Promise.reject(new Error('unexpected')),
    onEntry: (number: number) => void = () => {},
  ): Promise<Stage> {
    const server = await startRedis('--appendonly', 'no')
    onTeardown(() => server.close())
    const redis = await connectRedis({ url: server.url })
    const forReading = await connectRedis({ url: server.url })
    onTeardown(() => [redis, forReading].forEach((one) => one.close()))
    const read: number[] = []
    const errors: unknown[] = []
    let calls = 0
    const reader = createLogReader(position, {
      redis: forReading,
      keys,
      onEntry({ number }) {
        read.push(number)
        onEntry(number)
      },
      synchronise: () => synchronise(++calls),
      onError: (error) => errors.push(error),
    })
    onTeardown(() => reader.close())
    return {
      redis,
      reader,
      read,
      errors,
      synchronised: () => calls,
      async add(...numbers) {
        for (const number of numbers) {
          const fields = ['o', 'other', 'h', '{}', 'm', '']
          await redis.send(keys.log, ['XADD', keys.log, `${number}-0`, ...fields])
        }
      },
    }
  }

  it('gives every entry behind its position, in order and once', async () => {
    const { add, read, reader } = await begin(2)
    await add(1, 2, 3, 4)
    await eventually('4', () => reader.position === 4)
    await add(5)
    await eventually('5', () => reader.position === 5)
    expect(read).to.deep.equal([3, 4, 5])
  })

  it('synchronises at a gap, and reads on behind it', async () => {
    const { add, read, reader, synchronised } = await begin(0, async () => 7)
    await add(1, 2)
    await eventually('2', () => reader.position === 2)
    await add(5, 6, 7, 8)
    await eventually('8', () => reader.position === 8)
    expect(read).to.deep.equal([1, 2, 8])
    expect(synchronised()).to.equal(1)
  })

  it('synchronises again until that succeeds, and reads nothing before', async () => {
    const { add, read, reader, synchronised, errors } = await begin(0, async (call) => {
      if (call < 3) throw new Error('Redis is away')
      return 2
    })
    await add(2, 3)
    await eventually('3', () => reader.position === 3)
    expect(read).to.deep.equal([3])
    expect(synchronised()).to.equal(3)
    expect(errors).to.have.length(2)
  })

  it('synchronises when somebody doubts, in the middle of what was read too', async () => {
    let reader: LogReader | undefined
    const doubtAt3 = (number: number): void => {
      if (number === 3) reader?.doubt()
    }
    const stage = await begin(0, async () => 6, doubtAt3)
    reader = stage.reader
    const { redis } = stage
    await redis.send(keys.log, [
      'EVAL',
      "for i = 1, 7 do redis.call('XADD', KEYS[1], i .. '-0', 'o', 'x', 'h', '{}', 'm', '') end",
      '1',
      keys.log,
    ])
    await eventually('7', () => stage.reader.position === 7)
    expect(stage.read).to.deep.equal([1, 2, 3, 7])
    expect(stage.synchronised()).to.equal(1)
  })

  it('goes on behind an entry that cannot be dealt with', async () => {
    const stage = await begin(0, undefined, (number) => {
      if (number === 1) throw new Error('it cannot be dealt with')
    })
    await stage.add(1, 2)
    await eventually('2', () => stage.reader.position === 2)
    expect(stage.read).to.deep.equal([1, 2])
    expect(stage.errors).to.have.length(1)
  })
})
