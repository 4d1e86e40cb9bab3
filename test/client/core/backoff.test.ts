import { expect } from 'chai'
import fc from 'fast-check'
import { backoffDelay } from '../../../client/core/index.ts'

const POLICY = { baseMs: 1000, capMs: 30_000, maxTries: Infinity }

describe('the backoff', () => {
  it('is anything from nothing to a bound that doubles up to the cap', () => {
    expect(
      [1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) => backoffDelay(attempt, 1, POLICY)),
    ).to.deep.equal([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    expect(backoffDelay(5, 0, POLICY)).to.equal(0)
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const delay = backoffDelay(attempt, random, POLICY)
          return delay >= 0 && delay <= Math.min(30_000, 1000 * 2 ** (attempt - 1))
        },
      ),
    )
  })
})
