import { expect } from 'chai'
import { createRedisTime } from '../../../broker/cluster/redis-time.ts'

describe('the time by Redis’ clock', () => {
  let now: number
  const time = (): ReturnType<typeof createRedisTime> => createRedisTime(() => now)

  beforeEach(() => (now = 1_000_000))

  it('is the own one until Redis was heard', () => {
    expect(time().now()).to.equal(1_000_000)
  })

  it('is taken from the middle of question and answer', () => {
    const redis = time()
    redis.heard(999_990, 1_005_000, 1_000_000)
    expect(redis.now()).to.equal(1_005_005)
    now += 500
    expect(redis.now()).to.equal(1_005_505)
  })

  it('is not taken from an answer that was slow, or read late', () => {
    const redis = time()
    redis.heard(1_000_000, 1_000_001, 1_000_002)
    redis.heard(1_001_000, 1_001_001, 1_007_000)
    now = 1_007_000
    expect(redis.now()).to.equal(1_007_000)
  })

  it('is not taken from an answer that seems to come before its question', () => {
    const redis = time()
    redis.heard(1_000_000, 1_000_001, 1_000_002)
    redis.heard(1_005_000, 1_009_000, 1_004_000)
    expect(redis.now()).to.equal(1_000_000)
  })

  it('follows a clock that was set, a while later', () => {
    const redis = time()
    redis.heard(1_000_000, 1_000_000, 1_000_000)
    now = 1_060_000
    redis.heard(1_059_980, 1_069_990, 1_060_000)
    expect(redis.now()).to.equal(1_070_000)
  })
})
