import { expect } from 'chai'
import { createRoster, type Roster } from '../../bridge/roster.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

describe('a bridge that could not hear for a while', () => {
  let clock: ManualClock
  let roster: Roster
  let lost: string[]
  beforeEach(() => {
    clock = new ManualClock()
    lost = []
    roster = createRoster({
      clock,
      onUnknown() {},
      onCensus() {},
      onLost: (broker) => lost.push(broker),
    })
    roster.heartbeat({ broker: 'b', status: 'up', connections: 1, intervalMs: 500 })
  })

  /** Lets the time pass; resolves to whether the broker is lost then. */
  async function isLostAfter(ms: number): Promise<boolean> {
    await clock.advance(ms)
    roster.tick()
    return lost.length > 0
  }

  for (const { title, times } of [
    { title: 'counts that time, and 1.5 s, as nobody’s silence', times: 1 },
    { title: 'counts it once, however often it is told', times: 2 },
  ]) {
    it(title, async () => {
      await clock.advance(4000)
      const since = clock.now()
      await clock.advance(5000)
      for (let i = 0; i < times; i++) roster.wasDeaf(since)
      // Four seconds of silence were before; the 1.5 s come with each.
      expect(await isLostAfter(5000 + 1500 * times - 100)).to.equal(false)
      expect(await isLostAfter(200)).to.equal(true)
    })
  }

  it('gives nobody more than the whole time', async () => {
    await clock.advance(1000)
    roster.wasDeaf(clock.now() - 60_000)
    expect(await isLostAfter(8900)).to.equal(false)
    expect(await isLostAfter(200)).to.equal(true)
  })
})
