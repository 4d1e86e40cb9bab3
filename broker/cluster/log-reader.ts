import type { RedisConnection } from '../../runtime/redis/connection.ts'
import { decodeEntry, type Entry } from './entries.ts'
import type { ClusterKeys } from './keys.ts'

/** Reads the log, entry after entry. */
export interface LogReader {
  /** The number of the last entry that was read. */
  readonly position: number
  /** Something is missing, or may be: the log is read on only after a new synchronisation. */
  doubt(): void
  close(): void
}

/** Options of {@link createLogReader}. */
export interface LogReaderOptions {
  /** A connection of its own, since reading blocks it. */
  readonly redis: RedisConnection
  readonly keys: ClusterKeys
  readonly onEntry: (entry: Entry) => void
  /**
   * Makes up for what was missed; resolves to the number of the entry after which to read on. Called
   * again until it succeeds.
   */
  readonly synchronise: () => Promise<number>
  readonly onError: (error: unknown) => void
}

/** How long one read waits for entries, in milliseconds. */
const BLOCK_MS = 500

/** Entries for each read. */
const MAX_READ = 500

/** How soon reading is tried again, in milliseconds. */
const RETRY_MS = 50

/** Creates the reader at a position, and reads until it is closed. */
export function createLogReader(position: number, options: LogReaderOptions): LogReader {
  const { redis, keys, onEntry, synchronise, onError } = options
  let isInDoubt = false
  let isClosed = false

  async function readSome(): Promise<void> {
    if (isInDoubt) {
      isInDoubt = false
      try {
        position = await synchronise()
      } catch (error) {
        isInDoubt = true
        throw error
      }
    }
    const answer = await redis.sendForBytes(keys.log, [
      'XREAD',
      'COUNT',
      String(MAX_READ),
      'BLOCK',
      String(BLOCK_MS),
      'STREAMS',
      keys.log,
      `${position}-0`,
    ])
    for (const raw of entriesOf(answer)) {
      if (isInDoubt || isClosed) return
      const entry = decodeEntry(raw)
      if (entry.number !== position + 1) {
        isInDoubt = true
        return
      }
      position = entry.number
      try {
        onEntry(entry)
      } catch (error) {
        onError(error)
      }
    }
  }

  async function run(): Promise<void> {
    while (!isClosed) {
      try {
        await readSome()
      } catch (error) {
        if (isClosed) return
        onError(error)
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  run().catch(onError)
  return {
    get position() {
      return position
    },
    doubt() {
      isInDoubt = true
    },
    close() {
      isClosed = true
    },
  }
}

/** An entry as Redis returns it. */
export type RawEntry = readonly [Buffer, readonly Buffer[]]

/** The entries in the answer of XREAD on one stream; null when there were none in time. */
function entriesOf(answer: unknown): readonly RawEntry[] {
  const [stream] = (answer ?? []) as readonly (readonly [Buffer, readonly RawEntry[]])[]
  return stream?.[1] ?? []
}
