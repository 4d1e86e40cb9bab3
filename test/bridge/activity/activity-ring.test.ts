import { expect } from 'chai'
import { ActivityRing } from '../../../bridge/activity/activity-ring.ts'
import type { Activity } from '../../../bridge/index.ts'

const CAPACITY = 3
const BEGIN = 100

function entryAt(at: number): Activity {
  return { user: 'ann', room: null, from: 'offline', to: 'online', cause: null, at, durationMs: 0 }
}

describe('the ring of activity', () => {
  for (const { what, added, kept, completeFrom } of [
    { what: 'nothing', added: [], kept: [], completeFrom: BEGIN },
    { what: 'what fits', added: [110, 120, 130], kept: [110, 120, 130], completeFrom: BEGIN },
    { what: 'one too many', added: [110, 120, 130, 140], kept: [120, 130, 140], completeFrom: 111 },
    { what: 'what is older than itself', added: [50], kept: [50], completeFrom: BEGIN },
    {
      what: 'and forgets that',
      added: [50, 120, 130, 140],
      kept: [120, 130, 140],
      completeFrom: BEGIN,
    },
    {
      what: 'and forgets a later one first',
      added: [120, 110, 130, 140, 150],
      kept: [130, 140, 150],
      completeFrom: 121,
    },
  ] as const) {
    it(`remembers ${what}`, () => {
      const ring = new ActivityRing(CAPACITY, BEGIN)
      for (const at of added) ring.add(entryAt(at))
      const { entries, completeFrom: from } = ring.read(0, () => true)
      expect(entries.map(({ at }) => at)).to.deep.equal(kept)
      expect(from).to.equal(completeFrom)
    })
  }
})
