import type { EmittedPacket } from '../aedes-internals.ts'
import type { StoredRetained } from './entries.ts'
import type { NewEntry } from './log-writer.ts'

/** What of the retained messages is still on its way to the log; the rest is in step with it. */
export class PendingRetained {
  readonly #counts = new Map<string, number>()

  /** A message that is retained was given to the log. */
  sent(topic: string): void {
    this.#counts.set(topic, (this.#counts.get(topic) ?? 0) + 1)
  }

  /** It was read there. */
  arrived(topic: string): void {
    const left = (this.#counts.get(topic) ?? 0) - 1
    if (left > 0) this.#counts.set(topic, left)
    else this.#counts.delete(topic)
  }

  /**
   * Whether a later message of this broker is on its way: the log has one order for all, and what is read
   * in it now comes before that message.
   */
  isLater(topic: string): boolean {
    return this.#counts.has(topic)
  }

  /** Everything that was given to the log has arrived, but for what still waits. */
  restart(waiting: Iterable<NewEntry>): void {
    this.#counts.clear()
    for (const { retainedOn } of waiting) if (retainedOn !== undefined) this.sent(retainedOn)
  }
}

/** A retained message of this broker. */
interface LocalRetained {
  readonly topic: string
  readonly payload: Buffer | string
  readonly qos: 0 | 1 | 2
}

/** What has to be done so that this broker and Redis retain the same. */
export interface Difference {
  /** Messages that this broker has missed; without a payload those that were cleared. */
  readonly missed: readonly EmittedPacket[]
  /** Topics of which Redis has lost, or never got, what is retained here: a message, or none. */
  readonly lacking: readonly string[]
}

/** What is known of both sides. */
export interface Sides {
  readonly local: Iterable<LocalRetained>
  readonly stored: ReadonlyMap<string, StoredRetained>
  /** The number of the last entry that this broker had read. */
  readonly position: number
  /** Whether Redis may have lost what it had; otherwise what is not there was cleared. */
  readonly isLossy: boolean
  /** Topics for which a later message waits in this broker, or is yet to be read in the log. */
  readonly isLater: (topic: string) => boolean
}

/** Compares what is retained here with what is retained in Redis. */
export function compareRetained(sides: Sides): Difference {
  const { local, stored, position, isLossy, isLater } = sides
  const missed: EmittedPacket[] = []
  const lacking: string[] = []
  const seen = new Set<string>()
  for (const { topic, payload, qos } of local) {
    seen.add(topic)
    if (isLater(topic)) continue
    const there = stored.get(topic)
    if (!there) {
      if (isLossy) lacking.push(topic)
      else missed.push(cleared(topic))
    } else if (!isSame(there.packet, payload, qos)) {
      // What Redis has is as old as what was read, or older: this broker knows better.
      if (there.number <= position) lacking.push(topic)
      else missed.push(there.packet)
    }
  }
  for (const [topic, { packet, number }] of stored) {
    if (seen.has(topic) || isLater(topic)) continue
    // It was cleared, and Redis has lost that.
    if (isLossy && number <= position) lacking.push(topic)
    else missed.push(packet)
  }
  return { missed, lacking }
}

function isSame(packet: EmittedPacket, payload: Buffer | string, qos: number): boolean {
  return packet.qos === qos && Buffer.from(packet.payload).equals(Buffer.from(payload))
}

function cleared(topic: string): EmittedPacket {
  return {
    cmd: 'publish',
    topic,
    payload: Buffer.alloc(0),
    qos: 0,
    retain: true,
    dup: false,
    brokerId: '',
    brokerCounter: 0,
  }
}
