import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { ClusterKeys } from './keys.ts'

/** Who has a client id, in Redis' view. */
export interface ClaimedClient {
  readonly clientId: string
  readonly broker: string | undefined
  /** The number of its claim. */
  readonly number: number
  /** The broker from which it was taken over, if its client has not come back. */
  readonly adopted: string | undefined
}

interface ClientEntry {
  readonly broker?: string
  readonly number?: string
  readonly adopted?: string
}

/** Client ids that are looked at at once. */
const COUNT = '500'

/** The client ids of which something is true in Redis' view, some at a time. */
export async function* clientsOf(
  redis: RedisConnection,
  keys: ClusterKeys,
  isWanted: (client: ClaimedClient) => boolean,
): AsyncGenerator<readonly ClaimedClient[]> {
  let cursor = '0'
  do {
    const command = ['HSCAN', keys.clients, cursor, 'COUNT', COUNT]
    const [next, fields] = (await redis.send(keys.clients, command)) as readonly [
      string,
      readonly string[],
    ]
    const clients: ClaimedClient[] = []
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const { broker, number, adopted } = JSON.parse(fields[i + 1] ?? '{}') as ClientEntry
      clients.push({ clientId: fields[i] ?? '', broker, number: Number(number ?? 0), adopted })
    }
    yield clients.filter(isWanted)
    cursor = next
  } while (cursor !== '0')
}
