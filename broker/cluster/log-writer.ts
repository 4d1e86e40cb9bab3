import type { Script } from '../../runtime/redis/script.ts'
import { isPassing } from '../../runtime/redis/connection.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { ClusterKeys } from './keys.ts'

/** An entry on its way to the log. */
export interface NewEntry {
  readonly head: string
  /** The message; empty for a word. */
  readonly message: Buffer
  /** The topic on which the message is retained, if it is. */
  readonly retainedOn?: string
  /** Whether it clears that topic. */
  readonly clears?: boolean
  /** It is void when anything was retained or cleared there after the entry of this number. */
  readonly unlessSince?: number
}

/** Appends entries to the log, in order; while Redis cannot be reached they wait in memory. */
export interface LogWriter {
  /** `done` is called when others can read the entry, or when nobody should wait for that any longer. */
  append(entry: NewEntry, done?: () => void): void
  /** Resolves when nothing is on its way; what comes from then on waits. */
  hold(): Promise<void>
  /** Goes on after {@link LogWriter.hold}. */
  resume(): void
  /** What has not been appended yet. */
  waiting(): Iterable<NewEntry>
  /** Entries that were dropped because too many waited. */
  readonly dropped: number
  /** Resolves when everything is appended, or after a bound. */
  close(withinMs: number): Promise<void>
}

/** Options of {@link createLogWriter}. */
export interface LogWriterOptions {
  readonly broker: string
  readonly keys: ClusterKeys
  readonly clock: Clock
  /** `append.lua`. */
  readonly script: Script
  /** An entry was dropped, and never gets there. */
  readonly onDropped: (entry: NewEntry) => void
  readonly onError: (error: unknown) => void
}

/** How long who wants to know that an entry is safe waits for Redis, in milliseconds. */
const WAIT_MS = 1000

/** How soon a batch is tried again, in milliseconds. */
const RETRY_MS = 50

/** The largest batch. */
const MAX_BATCH = 256
const MAX_BATCH_BYTES = 1024 * 1024

/** How much may wait for Redis, in bytes. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024

/** How much the log keeps: entries, and about how many bytes. */
const MAX_ENTRIES = 20_000
const MAX_LOG_BYTES = 64 * 1024 * 1024

interface Waiting {
  readonly entry: NewEntry
  readonly bytes: number
  done: (() => void) | undefined
}

/** Creates the writer. */
export function createLogWriter(options: LogWriterOptions): LogWriter {
  const { broker, keys, clock, script, onDropped, onError } = options
  const queue: Waiting[] = []
  let queuedBytes = 0
  let batches = 0
  let dropped = 0
  /** About how large an entry is, in bytes. */
  let size = 500
  /** Whether Redis has answered lately: only then it is waited for. */
  let isAnswering = true
  let isHeld = false
  let isClosed = false
  let underway: Promise<void> | undefined

  /** Nobody waits for an entry any longer. */
  function release(): void {
    isAnswering = false
    for (const waiting of queue) settle(waiting)
  }

  function settle(waiting: Waiting): void {
    const { done } = waiting
    waiting.done = undefined
    done?.()
  }

  function takeBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const waiting of queue) {
      bytes += waiting.bytes
      if (count > 0 && (bytes > MAX_BATCH_BYTES || count >= MAX_BATCH)) break
      count++
    }
    const batch = queue.splice(0, count)
    for (const waiting of batch) queuedBytes -= waiting.bytes
    return batch
  }

  async function send(batch: readonly Waiting[]): Promise<void> {
    const number = ++batches
    const bytes = batch.reduce((sum, waiting) => sum + waiting.bytes, 0)
    size += (bytes / batch.length - size) / 16
    const length = Math.max(100, Math.min(MAX_ENTRIES, Math.floor(MAX_LOG_BYTES / size)))
    const args = batch.flatMap(
      ({ entry: { head, message, retainedOn = '', clears, unlessSince = '' } }) => [
        head,
        message,
        retainedOn,
        clears ? '1' : '0',
        String(unlessSince),
      ],
    )
    const cancel = clock.after(WAIT_MS, () => {
      release()
      for (const waiting of batch) settle(waiting)
    })
    for (;;) {
      try {
        await script(
          [keys.log, keys.head, keys.batches, keys.retained, keys.cleared],
          [broker, String(number), String(length), ...args],
        )
        isAnswering = true
        break
      } catch (error) {
        release()
        for (const waiting of batch) settle(waiting)
        if (isClosed) break
        if (!isPassing(error)) {
          // Redis will never take it: full, or a key of another kind.
          onError(error)
          for (const { entry } of batch) drop(entry)
          break
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    cancel()
    for (const waiting of batch) settle(waiting)
  }

  function drop(entry: NewEntry): void {
    dropped++
    onDropped(entry)
  }

  function work(): void {
    if (underway || isHeld || queue.length === 0) return
    underway = send(takeBatch()).finally(() => {
      underway = undefined
      work()
    })
  }

  return {
    append(entry, done) {
      const bytes = entry.message.length + entry.head.length + 64
      const waiting: Waiting = { entry, bytes, done: isAnswering ? done : undefined }
      queue.push(waiting)
      queuedBytes += bytes
      while (queuedBytes > MAX_WAITING_BYTES && queue.length > 1) {
        const oldest = queue.shift()
        if (!oldest) break
        queuedBytes -= oldest.bytes
        settle(oldest)
        drop(oldest.entry)
      }
      if (!isAnswering) done?.()
      // What is published in the same turn goes in the same batch.
      if (!underway && !isHeld) queueMicrotask(work)
    },
    async hold() {
      isHeld = true
      while (underway) await underway
    },
    resume() {
      isHeld = false
      work()
    },
    waiting: () => queue.map(({ entry }) => entry),
    get dropped() {
      return dropped
    },
    async close(withinMs) {
      const until = clock.now() + withinMs
      work()
      while (underway && clock.now() < until) {
        await Promise.race([underway, new Promise((resolve) => setTimeout(resolve, 20))])
      }
      isClosed = true
      release()
    },
  }
}
