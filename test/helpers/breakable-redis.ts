import type { RedisArgument, RedisConnection } from '../../runtime/redis/connection.ts'

/** A way to Redis that fails as one does whose connection breaks. */
export interface BreakableRedis extends RedisConnection {
  /** What happens to commands: Redis gets none, or they are carried out and the answer is lost. */
  broken: 'not' | 'before Redis' | 'after Redis'
  /** How many commands were sent. */
  readonly sent: number
}

/** Puts it before a connection. */
export function breakable(redis: RedisConnection): BreakableRedis {
  let sent = 0

  async function pass(carryOut: () => Promise<unknown>): Promise<unknown> {
    sent++
    if (own.broken === 'before Redis') throw new Error('Socket closed unexpectedly')
    const answer = await carryOut()
    if (own.broken === 'after Redis') throw new Error('Socket closed unexpectedly')
    return answer
  }

  const own: BreakableRedis = {
    broken: 'not',
    get sent() {
      return sent
    },
    send: (key: string, args: readonly RedisArgument[]) => pass(() => redis.send(key, args)),
    sendForBytes: (key: string, args: readonly RedisArgument[]) =>
      pass(() => redis.sendForBytes(key, args)),
    incarnation: () => redis.incarnation(),
    onLost: (listener) => redis.onLost(listener),
    close: () => redis.close(),
  }
  return own
}
