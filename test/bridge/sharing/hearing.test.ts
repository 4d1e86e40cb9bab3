import { expect } from 'chai'
import { createHearing, type Hearing } from '../../../bridge/sharing/hearing.ts'
import type { Beat, DataCheck, SharedStore } from '../../../bridge/store/store.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'

const WHOLE = { state: 'whole', data: 'first' } as const
const LACKING = { state: 'lacking' } as const

describe('a bridge that looks whether its store has its data', () => {
  let clock: ManualClock
  let hearing: Hearing
  let beat: Beat
  /** What the store would say to who may claim. */
  let found: DataCheck
  /** What happened, with the milliseconds since the begin. */
  let log: string[]
  let makeGood: () => Promise<void>
  /** Whether beats that say nothing new are slow, and noted. */
  let isWatched: boolean

  beforeEach(() => {
    clock = new ManualClock(0)
    beat = { others: 0, paused: false, deafMs: 0, late: false }
    found = WHOLE
    log = []
    isWatched = false
    makeGood = async () => {}
    const shared: SharedStore = {
      async beat(heardMs) {
        if (heardMs !== 0 || !isWatched) return beat
        note('beats')
        await wait(300)
        return beat
      },
      async checkData(mayClaim) {
        if (found.state === 'whole') return found
        if (mayClaim) note('claims')
        return mayClaim ? found : { state: 'waiting' }
      },
      async renewClaim() {
        note('renews')
      },
      async dataRestored() {
        if (found.state === 'lacking')
          found = { state: 'whole', data: `restored at ${clock.now()}` }
        return found
      },
      async leaveData() {
        note('leaves')
      },
      async endPause() {
        beat = { ...beat, deafMs: 0 }
      },
      onLost() {},
      silentBridges: async () => [],
      async forgetBridge() {},
      takeAbandoned: async () => ({ users: [], rooms: [] }),
      brokers: async () => [],
      async markLost() {},
      takeLost: async () => false,
    }
    hearing = createHearing({
      id: 'b',
      shared,
      clock,
      onDeaf: () => makeGood(),
      onLacking: () => makeGood(),
      onRestored: () => note('is restored'),
      onSilent: () => note('is silent'),
      onBack: (ms) => note(`is back after ${ms}`),
      onSteady: () => note('steady'),
      onError: (error) => note(String(error)),
    })
  })
  afterEach(() => hearing.close())

  function note(what: string): void {
    log.push(`${clock.now()} ${what}`)
  }

  /** Starts, and forgets what that said. */
  async function begin(): Promise<void> {
    const started = hearing.start()
    hearing.resume()
    await clock.advance(2000)
    await started
    log.length = 0
  }

  function wait(ms: number): Promise<void> {
    return new Promise((resolve) => void clock.after(ms, resolve))
  }

  it('claims it when it is new only after it has waited for others', async () => {
    found = LACKING
    const started = hearing.start()
    await clock.advance(900)
    expect(log).to.deep.equal([])
    await clock.advance(200)
    expect(log).to.deep.equal(['1000 claims', '1000 steady'])
    await started
  })

  it('waits longer while there are others, who know more', async () => {
    found = LACKING
    beat = { ...beat, others: 1 }
    const started = hearing.start()
    await clock.advance(4900)
    expect(log).to.deep.equal([])
    await clock.advance(200)
    expect(log[0]).to.equal('5000 claims')
    await started
  })

  it('starts before it is whole only after 10 s', async () => {
    let isStarted = false
    found = { state: 'waiting' }
    void hearing.start().then(() => (isStarted = true))
    await clock.advance(9500)
    expect(isStarted).to.equal(false)
    await clock.advance(1000)
    expect(isStarted).to.equal(true)
  })

  it('finds out within a second that data is lost, without any silence', async () => {
    await begin()
    found = LACKING
    await clock.advance(1300)
    expect(log.map((line) => line.replace(/^\d+ /, ''))).to.deep.equal([
      'is back after 0',
      'claims',
      'is restored',
      'steady',
    ])
    expect(hearing.steady).to.equal(true)
  })

  it('finds out that another bridge has made it good', async () => {
    await begin()
    found = { state: 'whole', data: 'second' }
    await clock.advance(1300)
    expect(log.map((line) => line.replace(/^\d+ /, ''))).to.deep.equal([
      'is back after 0',
      'is restored',
      'steady',
    ])
    log.length = 0
    await clock.advance(5000)
    expect(log).to.deep.equal([])
  })

  it('claims nothing while its link is down', async () => {
    await begin()
    hearing.interrupt()
    found = LACKING
    await clock.advance(5000)
    expect(log.filter((line) => line.endsWith('claims'))).to.deep.equal([])
    hearing.resume()
    await clock.advance(500)
    expect(log.filter((line) => line.endsWith('claims'))).to.have.length(1)
  })

  it('gives the claim back when it cannot make it good, and lets others try for a second', async () => {
    await begin()
    found = LACKING
    makeGood = async () => {
      makeGood = async () => {}
      throw new Error('no link')
    }
    await clock.advance(3000)
    const [back, claims, leaves, error, again] = log
    expect(
      [back, claims, leaves, error, again].map((line) => line?.replace(/^\d+ /, '')),
    ).to.deep.equal(['is back after 0', 'claims', 'leaves', 'Error: no link', 'claims'])
    expect(Number.parseInt(again ?? '', 10) - Number.parseInt(leaves ?? '', 10)).to.be.within(
      1000,
      1350,
    )
  })

  it('says every two seconds that it is still at it, and no longer when it is done', async () => {
    await begin()
    found = LACKING
    makeGood = () => wait(5000)
    await clock.advance(30_000)
    expect(log.filter((line) => line.endsWith('renews'))).to.have.length(2)
  })

  it('beats while it moves the deadlines, and no longer when that is done', async () => {
    await begin()
    isWatched = true
    beat = { ...beat, deafMs: 3000 }
    // One beat is on its way when that is done.
    makeGood = () => wait(1200)
    await clock.advance(20_000)
    expect(log.filter((line) => line.endsWith('beats'))).to.have.length(1)
  })
})
