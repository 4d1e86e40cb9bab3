import { randomBytes } from 'node:crypto'

/**
 * Makes connection ids: unique, and sorted by time among those of one maker. `mfx3k2q1a-0-9f86d081`
 * is the time in base 36, a counter within one millisecond, and four random bytes.
 */
export function createConnectionIds(now: () => number): () => string {
  let last = 0
  let counter = 0
  return () => {
    // A clock that is set back does not bring old ids back.
    const time = Math.max(last, now())
    counter = time === last ? counter + 1 : 0
    last = time
    const stamp = time.toString(36).padStart(9, '0')
    return `${stamp}-${counter.toString(36).padStart(3, '0')}-${randomBytes(4).toString('hex')}`
  }
}
