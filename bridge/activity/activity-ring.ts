import type { Activity, ActivityLog } from './activity.ts'

/** Remembers the newest activity in this process, up to a number of entries. */
export class ActivityRing {
  readonly #capacity: number
  readonly #entries: Activity[] = []
  #next = 0
  #completeFrom: number

  /** @param begin since when there is everything to remember, in milliseconds since the epoch */
  constructor(capacity: number, begin: number) {
    this.#capacity = capacity
    this.#completeFrom = begin
  }

  add(entry: Activity): void {
    if (this.#entries.length < this.#capacity) {
      this.#entries.push(entry)
      return
    }
    // What happened at that very time may be half forgotten.
    const forgotten = this.#entries[this.#next]?.at ?? 0
    this.#completeFrom = Math.max(this.#completeFrom, forgotten + 1)
    this.#entries[this.#next] = entry
    this.#next = (this.#next + 1) % this.#capacity
  }

  /** The entries of one kind since a time, oldest first. */
  read(since: number, isWanted: (entry: Activity) => boolean): ActivityLog {
    const ordered = [...this.#entries.slice(this.#next), ...this.#entries.slice(0, this.#next)]
    const entries = ordered.filter((entry) => entry.at >= since && isWanted(entry))
    return { entries, completeFrom: this.#completeFrom }
  }
}
