import { expect } from 'chai'
import {
  holdToken,
  isTokenOver,
  NO_RENEWAL,
  renewalDeadline,
  stepRenewal,
  type Renewal,
  type RenewalPolicy,
} from '../../../client/core/index.ts'

const MINUTE_MS = 60_000
const POLICY: RenewalPolicy = { tokenTimeoutMs: 30_000, delay: (failed) => failed * 1000 }

/** Inputs at their times, to a token that was taken at 0 and says that it expires after so long. */
function run(
  expiresAt: number,
  inputs: readonly (readonly [number, 'timer' | 'failed'])[],
): [Renewal, boolean[]] {
  let renewal = holdToken({ expiresAt, issuedAt: 0 }, 0, 1)
  const asked = inputs.map(([now, type]) => {
    const input = type === 'timer' ? { type } : { type, message: 'no' }
    const [next, ask] = stepRenewal(renewal, input, now, POLICY)
    renewal = next
    return ask
  })
  return [renewal, asked]
}

describe('the renewal of a token', () => {
  // now, what the token says, the dice: when the next token is asked for
  const cases: readonly [string, number, number, number | null, number, number | null][] = [
    ['in its last quarter', 0, 4000, 0, 1, 3000],
    ['later by chance, up to its last eighth', 0, 4000, 0, 0, 3500],
    ['two minutes before the end of a long one', 0, 60 * MINUTE_MS, 0, 1, 58 * MINUTE_MS],
    ['by what is left of it', 30_000, 40_000, 0, 1, 37_500],
    ['by how long it was made for, when the clock is fast', 900_000, 40_000, 0, 1, 930_000],
    ['by how long it was made for, when the clock is slow', 0, 900_000, 860_000, 1, 30_000],
    ['at once, when it is just over', 44_000, 40_000, 0, 1, 44_000],
    ['by its end alone, when it does not say when it was made', 0, 40_000, null, 1, 30_000],
    ['never, when nothing can be known', 900_000, 40_000, null, 1, null],
  ]
  for (const [title, now, expiresAt, issuedAt, random, due] of cases) {
    it(`is due ${title}`, () => {
      expect(renewalDeadline(holdToken({ expiresAt, issuedAt }, now, random))).to.equal(due)
    })
  }

  it('is due never for what is no such token', () => {
    expect(holdToken(null, 0, 0.5)).to.equal(NO_RENEWAL)
    expect(stepRenewal(NO_RENEWAL, { type: 'timer' }, 1e15, POLICY)).to.deep.equal([
      NO_RENEWAL,
      false,
    ])
    expect(isTokenOver(NO_RENEWAL, 1e15)).to.equal(false)
  })

  it('asks once, and again after each failure, later and later', () => {
    const [renewal, asked] = run(400_000, [
      [299_999, 'timer'],
      [300_000, 'timer'],
      [300_001, 'timer'],
      [301_000, 'failed'],
      [301_999, 'timer'],
      [302_000, 'timer'],
      [303_000, 'failed'],
      [304_999, 'timer'],
      [305_000, 'timer'],
    ])
    expect(asked).to.deep.equal([false, true, false, false, false, true, false, false, true])
    expect(renewal).to.include({ status: 'asking', failed: 2, message: 'no' })
  })

  it('counts no answer as a failure', () => {
    const [renewal, asked] = run(400_000, [
      [300_000, 'timer'],
      [330_000, 'timer'],
      [331_000, 'timer'],
    ])
    expect(asked).to.deep.equal([true, false, true])
    expect(renewal).to.include({ failed: 1, message: 'no new token within 30000 ms' })
  })

  it('explains an end that comes at the token’s time', () => {
    const [renewal] = run(400_000, [[300_000, 'timer']])
    expect(isTokenOver(renewal, 398_000)).to.equal(false)
    expect(isTokenOver(renewal, 399_500)).to.equal(true)
  })
})
