import type { RedisConnection } from '../../runtime/redis/connection.ts'
import type { ClusterKeys } from './keys.ts'

/** A client id that Redis says a broker has. */
interface OwnedClient {
  readonly clientId: string
  /** The number of its claim. */
  readonly number: number
}

interface ClientEntry {
  readonly broker?: string
  readonly number?: string
  /** The broker from which it was taken over. */
  readonly adopted?: string
}

/** Client ids that are looked at at once. */
const COUNT = '500'

/** The client ids that a broker has claimed in Redis' view, some at a time; without those that it has taken over. */
export async function* clientsOf(
  redis: RedisConnection,
  keys: ClusterKeys,
  broker: string,
): AsyncGenerator<readonly OwnedClient[]> {
  let cursor = '0'
  do {
    const command = ['HSCAN', keys.clients, cursor, 'COUNT', COUNT]
    const [next, fields] = (await redis.send(keys.clients, command)) as readonly [
      string,
      readonly string[],
    ]
    const owned: OwnedClient[] = []
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const entry = JSON.parse(fields[i + 1] ?? '{}') as ClientEntry
      if (entry.broker !== broker || entry.adopted !== undefined) continue
      owned.push({ clientId: fields[i] ?? '', number: Number(entry.number ?? 0) })
    }
    yield owned
    cursor = next
  } while (cursor !== '0')
}
