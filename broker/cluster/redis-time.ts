/** The time by Redis' clock, which all brokers can agree on, as far as its answers tell. */
export interface RedisTime {
  /** About now, in milliseconds since the epoch. */
  now(): number
  /** Redis was asked, has told its time, and the answer was read, in milliseconds of the own clock. */
  heard(askedAt: number, told: number, readAt: number): void
}

/** How much less an answer tells for each millisecond that has passed since: clocks drift, and are set. */
const FADING = 0.001

/** Creates it; until Redis was heard it is the own clock. */
export function createRedisTime(now: () => number): RedisTime {
  let ahead = 0
  let unsure = Infinity
  let at = 0

  return {
    now: () => now() + ahead,
    heard(askedAt, told, readAt) {
      // A slow answer, or one that this process was late to read, tells little.
      const roundTrip = readAt - askedAt
      if (roundTrip < 0 || roundTrip > unsure + (readAt - at) * FADING) return
      unsure = roundTrip
      at = readAt
      ahead = told - (askedAt + readAt) / 2
    },
  }
}
