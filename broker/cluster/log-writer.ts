import type { Script } from '../../runtime/redis/script.ts'
import { isPassing, isReply } from '../../runtime/redis/connection.ts'
import type { Cancel, Clock } from '../../runtime/clock.ts'
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
  /**
   * Takes back what Redis has refused, since it may have lost something, and withdraws what was to be retained
   * again: that has to be decided anew.
   *
   * @param lastBatch the number of the last batch that Redis has of this broker
   * @returns the topics of what was withdrawn
   */
  takeBack(lastBatch: number): readonly string[]
  /** Compared with data of this name: it may be written there, and this first. */
  trust(data: string, first: readonly NewEntry[]): void
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
  /** Redis may have lost something: nothing is written before {@link LogWriter.takeBack}. */
  readonly onRefused: () => void
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

/** How exactly the wait ends, in milliseconds. */
const LOOK_MS = 20

interface Waiting {
  readonly entry: NewEntry
  readonly bytes: number
  /** When it came. */
  readonly at: number
  done: (() => void) | undefined
}

/** Creates the writer. */
export function createLogWriter(options: LogWriterOptions): LogWriter {
  const { broker, keys, clock, script, onDropped, onError } = options
  let queue: Waiting[] = []
  let queuedBytes = 0
  /** What is on its way, or was refused. */
  let batch: readonly Waiting[] = []
  let batches = 0
  let dropped = 0
  /** About how large an entry is, in bytes. */
  let size = 500
  /** Which data it is that was compared. */
  let data = ''
  /** Whether Redis has answered lately: only then it is waited for. */
  let isAnswering = true
  let answeredAt = -Infinity
  let isHeld = false
  let isRefused = false
  let isClosed = false
  let underway: Promise<void> | undefined
  let cancelLook: Cancel | undefined

  /** Nobody waits for an entry any longer. */
  function release(): void {
    isAnswering = false
    for (const waiting of batch) settle(waiting)
    for (const waiting of queue) settle(waiting)
  }

  function settle(waiting: Waiting): void {
    const { done } = waiting
    waiting.done = undefined
    done?.()
  }

  /** Whoever has waited long enough goes on. */
  function look(): void {
    cancelLook = undefined
    const due = clock.now() - WAIT_MS
    for (const waiting of [...batch, ...queue]) {
      if (!waiting.done) continue
      if (waiting.at > due) {
        cancelLook = clock.after(Math.max(LOOK_MS, waiting.at - due), look)
        return
      }
      if (answeredAt <= due) return release()
      settle(waiting)
    }
  }

  function takeBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const waiting of queue) {
      bytes += waiting.bytes
      if (count > 0 && (bytes > MAX_BATCH_BYTES || count >= MAX_BATCH)) break
      count++
    }
    const taken = queue.splice(0, count)
    for (const waiting of taken) queuedBytes -= waiting.bytes
    return taken
  }

  async function send(): Promise<void> {
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
    for (;;) {
      try {
        await script(
          [keys.log, keys.head, keys.batches, keys.retained, keys.cleared, keys.emptied],
          [broker, String(number), String(length), data, ...args],
        )
        isAnswering = true
        answeredAt = clock.now()
        break
      } catch (error) {
        if (isNewData(error)) {
          isRefused = true
          options.onRefused()
          return
        }
        release()
        if (isClosed) break
        if (!isPassing(error)) {
          // Redis will never take it: a key is of another kind.
          onError(error)
          for (const { entry } of batch) drop(entry)
          break
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    finish()
  }

  /** What was on its way is there, or never will be. */
  function finish(): void {
    const done = batch
    batch = []
    for (const waiting of done) settle(waiting)
  }

  function drop(entry: NewEntry): void {
    dropped++
    onDropped(entry)
  }

  function work(): void {
    if (underway || isHeld || isRefused || queue.length === 0) return
    batch = takeBatch()
    underway = send().finally(() => {
      underway = undefined
      work()
    })
  }

  function putFirst(first: readonly Waiting[]): void {
    queue = [...first, ...queue]
    for (const { bytes } of first) queuedBytes += bytes
  }

  function createWaiting(entry: NewEntry, done?: () => void): Waiting {
    const bytes = entry.message.length + entry.head.length + 64
    return { entry, bytes, at: clock.now(), done: isAnswering ? done : undefined }
  }

  return {
    append(entry, done) {
      const waiting = createWaiting(entry, done)
      queue.push(waiting)
      queuedBytes += waiting.bytes
      while (queuedBytes > MAX_WAITING_BYTES && queue.length > 1) {
        const oldest = queue.shift()
        if (!oldest) break
        queuedBytes -= oldest.bytes
        settle(oldest)
        drop(oldest.entry)
      }
      if (!isAnswering) done?.()
      else if (done) cancelLook ??= clock.after(WAIT_MS, look)
      // What is published in the same turn goes in the same batch.
      if (!underway && !isHeld) queueMicrotask(work)
    },
    async hold() {
      isHeld = true
      while (underway) await underway
    },
    takeBack(lastBatch) {
      if (isRefused) {
        isRefused = false
        // Its answer was lost, and what refuses it now has it.
        if (batches <= lastBatch) finish()
        else putFirst(batch)
        batch = []
      }
      const again = queue.filter(({ entry }) => entry.unlessSince !== undefined)
      if (again.length > 0) {
        const rest = queue.filter(({ entry }) => entry.unlessSince === undefined)
        queue = []
        queuedBytes = 0
        putFirst(rest)
      }
      return again.map(({ entry }) => entry.retainedOn ?? '')
    },
    trust(name, first) {
      data = name
      putFirst(first.map((entry) => createWaiting(entry)))
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
      // Whatever is being compared comes too late; what is published here does not.
      isHeld = false
      work()
      while (batch.length + queue.length > 0 && clock.now() < until) {
        const pause = new Promise((resolve) => setTimeout(resolve, 20))
        await (underway ? Promise.race([underway, pause]) : pause)
      }
      isClosed = true
      cancelLook?.()
      release()
    },
  }
}

/** Whether Redis refuses a batch because its data is not the one that was compared. */
function isNewData(error: unknown): boolean {
  return isReply(error) && error.message.startsWith('NEWDATA')
}
