import TinyQueue from 'tinyqueue'

interface Entry {
  readonly key: string
  readonly at: number
}

/** Deadlines by key: the earliest first, replaceable, and no larger than what is in it. */
export class DeadlineQueue {
  readonly #deadlines = new Map<string, number>()
  #queue = new TinyQueue<Entry>([], byTime)

  /** Sets or, with null, removes the deadline of a key. */
  set(key: string, at: number | null): void {
    if (this.#deadlines.get(key) === (at ?? undefined)) return
    if (at === null) {
      this.#deadlines.delete(key)
    } else {
      this.#deadlines.set(key, at)
      this.#queue.push({ key, at })
    }
    // Replaced entries stay in the queue until their time, which may be days away.
    if (this.#queue.length > 64 + 2 * this.#deadlines.size) this.#compact()
  }

  /** The earliest deadline. */
  next(): number | null {
    return this.#head()?.at ?? null
  }

  /** Keys whose deadline is at or before a time, earliest first; they stay until they are set anew. */
  due(now: number, limit: number): readonly string[] {
    const due = new Map<string, Entry>()
    let head = this.#head()
    while (head && head.at <= now && due.size < limit) {
      // A deadline that was moved and moved back is in the queue twice; once is enough.
      due.set(head.key, head)
      this.#queue.pop()
      head = this.#head()
    }
    for (const entry of due.values()) this.#queue.push(entry)
    return [...due.keys()]
  }

  /** Keys with a deadline before a time, in no order. */
  before(time: number): readonly string[] {
    return Array.from(this.#deadlines)
      .filter(([, at]) => at < time)
      .map(([key]) => key)
  }

  #head(): Entry | undefined {
    for (;;) {
      const head = this.#queue.peek()
      if (!head || this.#deadlines.get(head.key) === head.at) return head
      this.#queue.pop()
    }
  }

  #compact(): void {
    this.#queue = new TinyQueue(
      Array.from(this.#deadlines, ([key, at]) => ({ key, at })),
      byTime,
    )
  }
}

function byTime(a: Entry, b: Entry): number {
  return a.at - b.at
}
