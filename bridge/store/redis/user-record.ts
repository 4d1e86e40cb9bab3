import type { UserState } from '../../core/index.ts'
import type { HeardEntry, HeardLog, StoredUser } from '../store.ts'

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

/**
 * A log on one line, numbers to the base of 36: `client.last.count.born.at` for a count, for stamps
 * `client.broker.at.floor` and a `:connection.stamp` for each, counted from the floor.
 */
export function formatHeard(log: HeardLog): string {
  return log.map(formatEntry).join(' ')
}

function formatEntry(entry: HeardEntry): string {
  const { client, at } = entry
  if ('count' in entry) {
    const { last, count, born } = entry
    return [client, last, digits(count), digits(born), digits(at)].join('.')
  }
  const { broker, floor, newest } = entry
  const stamps = newest.map(([connection, stamp]) => `:${connection}.${digits(stamp - floor)}`)
  return [client, broker, digits(at), digits(floor)].join('.') + stamps.join('')
}

function parseHeard(line: string): HeardLog {
  return line === '' ? [] : line.split(' ').map(parseEntry)
}

function parseEntry(entry: string): HeardEntry {
  const [head = '', ...stamps] = entry.split(':')
  if (stamps.length === 0) {
    const [client = '', last = '', count = '', born = '', at = ''] = head.split('.')
    return { client, last, count: number(count), born: number(born), at: number(at) }
  }
  const [client = '', broker = '', at = '', first = ''] = head.split('.')
  const floor = number(first)
  const newest = stamps.map((stamp) => {
    const [connection = '', above = ''] = stamp.split('.')
    return [connection, floor + number(above)] as const
  })
  return { client, broker, floor, newest, at: number(at) }
}

function digits(value: number): string {
  return value.toString(36)
}

function number(text: string): number {
  return Number.parseInt(text, 36)
}
