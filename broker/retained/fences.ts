/** For how long the version of a topic on which nothing is retained is known, in milliseconds. */
const KEPT_MS = 600_000

/** Of how many such topics. */
const MAX_KEPT = 100_000

/** Whether something older comes after something newer; what is as old is the same once more. */
export function isOvertaken(version: number | undefined, known: number | undefined): boolean {
  return version !== undefined && known !== undefined && version < known
}

/** The highest versions of topics on which nothing is retained: such as were cleared, and events. */
export class Fences {
  /** In the order in which they were noted. */
  readonly #notes = new Map<string, { readonly version: number; readonly at: number }>()
  readonly #maxKept: number

  constructor(maxKept: number = MAX_KEPT) {
    this.#maxKept = maxKept
  }

  /** The highest version that was published on a topic. */
  get(topic: string, now: number): number | undefined {
    const note = this.#notes.get(topic)
    return note && now - note.at < KEPT_MS ? note.version : undefined
  }

  /** Notes a version; a lower one than is known changes nothing. */
  note(topic: string, version: number, now: number): void {
    const known = this.get(topic, now)
    if (isOvertaken(version, known)) return
    this.#notes.delete(topic)
    this.#notes.set(topic, { version, at: now })
    for (const [oldest, { at }] of this.#notes) {
      if (this.#notes.size <= this.#maxKept && now - at < KEPT_MS) break
      this.#notes.delete(oldest)
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#notes.clear()
  }
}
