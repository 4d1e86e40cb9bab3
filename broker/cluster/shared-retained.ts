import type { EmittedPacket } from '../aedes-internals.ts'
import { versionOf, type Versioned } from '../retained/version.ts'
import type { StoredRetained } from './entries.ts'

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

  /** Nothing was given to the log that is yet to be read there, but for messages on these topics. */
  restart(topics: Iterable<string>): void {
    this.#counts.clear()
    for (const topic of topics) this.sent(topic)
  }
}

/** A retained message of this broker. */
interface LocalRetained extends Versioned {
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
  /** Whether Redis may lack what is known here of a topic; otherwise what is not there was cleared. */
  readonly mayLack: (topic: string) => boolean
  /** The highest version that this broker knows of a topic. */
  readonly versionOn: (topic: string) => number | undefined
  /** Topics for which a later message waits in this broker, or is yet to be read in the log. */
  readonly isLater: (topic: string) => boolean
}

/** Compares what is retained here with what is retained in Redis. */
export function compareRetained(sides: Sides): Difference {
  const { local, stored, position, mayLack, versionOn, isLater } = sides
  const missed: EmittedPacket[] = []
  const lacking: string[] = []
  const seen = new Set<string>()

  /** Who is right about a topic of which Redis has something else. */
  function decide(topic: string, here: number | undefined, there: StoredRetained): void {
    const { packet, number } = there
    const isNewer = isHigher(versionOf(packet), here)
    // What is on its way is fenced off by what has come before it.
    if (!isNewer && isLater(topic)) return
    const isOlder = isHigher(here, versionOf(packet))
    // What Redis has is as old as what was read, or older: this broker knows better.
    if (isOlder || (!isNewer && isKnown(topic, number))) lacking.push(topic)
    else missed.push(packet)
  }

  function isKnown(topic: string, number: number): boolean {
    // Nothing here: it was cleared, and Redis has lost that.
    return number <= position && (seen.has(topic) || mayLack(topic))
  }

  for (const message of local) {
    const { topic } = message
    seen.add(topic)
    const there = stored.get(topic)
    if (there) {
      if (!isSame(there.packet, message)) decide(topic, versionOf(message), there)
    } else if (!isLater(topic)) {
      if (mayLack(topic)) lacking.push(topic)
      else missed.push(cleared(topic))
    }
  }
  for (const [topic, there] of stored) if (!seen.has(topic)) decide(topic, versionOn(topic), there)
  return { missed, lacking }
}

/** Whether both have a version, and the first has a higher one. */
function isHigher(one: number | undefined, other: number | undefined): boolean {
  return one !== undefined && other !== undefined && one > other
}

function isSame(there: EmittedPacket, here: LocalRetained): boolean {
  const [one, other] = [versionOf(there), versionOf(here)]
  if (isHigher(one, other) || isHigher(other, one)) return false
  return there.qos === here.qos && Buffer.from(there.payload).equals(Buffer.from(here.payload))
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
