/** That something has to be shown without a break, from one time to another; by `performance.now()`. */
export interface Claim {
  readonly from: number
  /** Until when it is certain; infinite while nothing has happened to it. */
  until: number
}

/** How far two claims have to overlap to be one, and how near to its ends a claim proves nothing. */
export const MARGIN_MS = 150

/** What has to be shown, by key: a user, or a user in a room. Independent of how the program decides. */
export class Claims {
  readonly #claims = new Map<string, Claim[]>()

  add(key: string, from: number): Claim {
    const claim = { from, until: Number.POSITIVE_INFINITY }
    const claims = this.#claims.get(key)
    if (claims) claims.push(claim)
    else this.#claims.set(key, [claim])
    return claim
  }

  /** What was claimed of a key around a time, for whoever has to find out why. */
  describe(key: string, at: number): string {
    const near = (this.#claims.get(key) ?? []).filter(
      ({ from, until }) => from < at + 5000 && until > at - 5000,
    )
    const spans = near.map(({ from, until }) => `${Math.round(from)} to ${Math.round(until)}`)
    return `${key} was claimed from ${spans.join(', from ')}`
  }

  /** Whether something was claimed at a time, and for a while around it. */
  holds(key: string, at: number): boolean {
    let start = Number.NaN
    let end = Number.NEGATIVE_INFINITY
    const claims = (this.#claims.get(key) ?? []).toSorted((a, b) => a.from - b.from)
    for (const { from, until } of claims) {
      if (from + MARGIN_MS > end) {
        if (at > start + MARGIN_MS && at < end - MARGIN_MS) return true
        start = from
        end = until
      } else {
        end = Math.max(end, until)
      }
    }
    return at > start + MARGIN_MS && at < end - MARGIN_MS
  }
}

/** A claim is certain no longer than this. */
export function limit(claims: Iterable<Claim>, until: number): void {
  for (const claim of claims) claim.until = Math.min(claim.until, until)
}
