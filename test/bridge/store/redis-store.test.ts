import { createRedisStore } from '../../../bridge/index.ts'
import {
  startRedis,
  startRedisCluster,
  type RedisCluster,
  type RedisServer,
} from '../../helpers/redis.ts'
import { describeStore } from './describe-store.ts'

let stores = 0

describe('on one server', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server.close())

  describeStore('the Redis store', (now) =>
    createRedisStore({ url: server.url, prefix: `test${stores++}`, now }),
  )
})

describe('on a cluster', function () {
  this.timeout(30_000)
  let cluster: RedisCluster
  before(async () => {
    cluster = await startRedisCluster()
  })
  after(() => cluster.close())

  describeStore('the Redis store', (now) =>
    createRedisStore({
      url: cluster.url,
      topology: 'cluster',
      prefix: `test${stores++}`,
      now,
    }),
  )
})
