import type { UserState } from '../../core/index.ts'
import type { HeardLog, StoredUser } from '../store.ts'

/** No broker of ours; unlike the name of any. */
const NO_BROKER = '~'

/** How a broker is named in the index: without a comma or a space. */
export function brokerName(broker: string | null): string {
  return broker === null ? NO_BROKER : `=${encodeURIComponent(broker)}`
}

/** The broker of an index name. */
export function brokerOfName(name: string): string | null {
  return name === NO_BROKER ? null : decodeURIComponent(name.slice(1))
}

/** The brokers of a state, as the record names them. */
export function brokersOf({ connections }: UserState): string {
  return [...new Set(connections.map(({ broker }) => brokerName(broker)))].toSorted().join(',')
}

/** Reads a record as `save-user.lua` writes it. */
export function parseRecord(record: string): StoredUser {
  const head = record.indexOf('\n')
  const body = record.indexOf('\n', head + 1)
  return {
    revision: Number(record.slice(0, record.indexOf(' '))),
    heard: parseHeard(record.slice(head + 1, body)),
    state: JSON.parse(record.slice(body + 1)) as UserState,
  }
}

/** A log on one line: `client.last.count.born.at` for each, numbers to the base of 36. */
export function formatHeard(log: HeardLog): string {
  return log
    .map(({ client, last, count, born, at }) =>
      [client, last, count.toString(36), born.toString(36), at.toString(36)].join('.'),
    )
    .join(' ')
}

function parseHeard(line: string): HeardLog {
  if (line === '') return []
  return line.split(' ').map((entry) => {
    const [client = '', last = '', count = '', born = '', at = ''] = entry.split('.')
    const read = (digits: string): number => Number.parseInt(digits, 36)
    return { client, last, count: read(count), born: read(born), at: read(at) }
  })
}
