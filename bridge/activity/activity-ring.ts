import type { Activity, ActivityLog } from './activity.ts'

/** Remembers the newest activity in this process, up to a number of entries. */
export class ActivityRing {
  readonly #capacity: number
  readonly #entries: Activity[] = []
  #next = 0
  #completeFrom = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(entry: Activity): void {
    if (this.#entries.length < this.#capacity) {
      this.#entries.push(entry)
      return
    }
    // What happened at that very time may be half forgotten.
    this.#completeFrom = (this.#entries[this.#next]?.at ?? 0) + 1
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
