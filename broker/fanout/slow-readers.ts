import type { AedesClient } from '../aedes-internals.ts'

/** Why a connection was cut that did not read what it subscribed to. */
export class SlowReaderError extends Error {
  readonly code = 'SLOW_READER'

  constructor(queuedBytes: number) {
    super(`the reader is too slow: ${queuedBytes} bytes are waiting for it`)
    this.name = 'SlowReaderError'
  }
}

/** Version 5 reason code: quota exceeded. */
const QUOTA_EXCEEDED = 0x97

/**
 * Cuts a reader. Aedes reports it as `clientError` with a {@link SlowReaderError}. The DISCONNECT of version 5
 * is for `disconnectReasonCode`, which the broker's own events show: it stands behind everything that the
 * reader did not read, so the socket is not kept for it.
 */
export function cutSlowReader(client: AedesClient, queuedBytes: number): void {
  if (client.version === 5) client.disconnect({ reasonCode: QUOTA_EXCEEDED })
  client.conn.destroy(new SlowReaderError(queuedBytes))
}

/** Calls a publisher back: at once, or a little later when readers are behind; in the order of each lane. */
export type Brake = (lane: string, isBehind: boolean, done: () => void) => void

/**
 * Creates a brake. A publisher is read again when its last chunk was called back, so a delay here leaves
 * readers that are in order, but behind, time to take what is queued. It is the same few milliseconds
 * for everybody who waits, and nobody waits for a reader.
 */
export function createBrake(delayMs: number): Brake {
  const waiting = new Map<string, (() => void)[]>()

  function release(): void {
    const released = [...waiting.values()]
    waiting.clear()
    for (const done of released.flat()) process.nextTick(done)
  }

  return (lane, isBehind, done) => {
    const before = waiting.get(lane)
    if (before) {
      // Its publisher hears of messages in their order [MQTT-4.6.0-2].
      before.push(done)
    } else if (isBehind) {
      if (waiting.size === 0) setTimeout(release, delayMs)
      waiting.set(lane, [done])
    } else {
      // Never in the same turn: Aedes would read and parse within the parsing of the packet before.
      process.nextTick(done)
    }
  }
}
