import { expect } from 'chai'
import { watchStalls } from '../../runtime/stall-watch.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

describe('a stall watch', () => {
  let clock: ManualClock
  let stalls: number[]
  const watch = (options: { intervalMs?: number; thresholdMs?: number } = {}) =>
    watchStalls({ clock, onStall: (ms) => stalls.push(ms), ...options })

  beforeEach(() => {
    clock = new ManualClock()
    stalls = []
  })

  it('is silent while time passes as it should', async () => {
    watch()
    await clock.advance(60_000)
    expect(stalls).to.deep.equal([])
  })

  it('tells once how long nothing ran', async () => {
    watch()
    await clock.advance(1000)
    clock.jump(5000)
    await clock.advance(10_000)
    expect(stalls).to.deep.equal([4900])
  })

  it('does not tell of a delay up to its threshold', async () => {
    watch()
    clock.jump(600)
    await clock.advance(1000)
    clock.jump(601)
    await clock.advance(1000)
    expect(stalls).to.deep.equal([501])
  })

  it('tells at once when it is asked, and not a second time', async () => {
    const stall = watch()
    clock.jump(5000)
    stall.check()
    stall.check()
    expect(stalls).to.deep.equal([4900])
    await clock.advance(1000)
    expect(stalls).to.deep.equal([4900])
  })

  it('is not confused by questions between its looks', async () => {
    const stall = watch()
    for (let i = 0; i < 100; i++) {
      await clock.advance(30)
      stall.check()
    }
    clock.jump(2000)
    stall.check()
    expect(stalls).to.have.length(1)
  })

  it('does not take a clock that is set back for a stall', async () => {
    watch()
    clock.jump(-60_000)
    await clock.advance(61_000)
    expect(stalls).to.deep.equal([])
  })

  it('takes its pace from its options', async () => {
    watch({ intervalMs: 1000, thresholdMs: 3000 })
    clock.jump(3500)
    await clock.advance(2000)
    clock.jump(6000)
    await clock.advance(2000)
    expect(stalls).to.have.length(1)
  })

  it('ends when it is closed', async () => {
    const stall = watch()
    await clock.advance(150)
    stall.close()
    clock.jump(60_000)
    await clock.advance(1000)
    expect(stalls).to.deep.equal([])
    expect(clock.pending).to.equal(0)
  })
})
