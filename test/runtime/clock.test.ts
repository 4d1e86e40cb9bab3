import { expect } from 'chai'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { systemClock } from '../../runtime/clock.ts'
import { ManualClock, settle } from '../helpers/manual-clock.ts'

describe('the system’s clock', () => {
  it('runs once after a delay', (done) => {
    const before = systemClock.now()
    systemClock.after(20, () => {
      expect(systemClock.now() - before).to.be.at.least(19)
      done()
    })
  })

  it('does not run what was cancelled, nor at once what is months away', async () => {
    let runs = 0
    const cancels = [0, 2 ** 31, 1e12].map((ms) => systemClock.after(ms, () => runs++))
    cancels[0]?.()
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(runs).to.equal(0)
    for (const cancel of cancels) cancel()
  })

  it('does not keep the process alive', async () => {
    const url = new URL('../../runtime/clock.ts', import.meta.url).href
    const script = `import { systemClock } from '${url}'; systemClock.after(60_000, () => {})`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).to.equal(0)
  })
})

describe('a manual clock', () => {
  it('runs timers in their order, each at its time', async () => {
    const clock = new ManualClock(0)
    const order: string[] = []
    const note = (name: string) => () => order.push(`${name} at ${clock.now()}`)
    clock.after(30, note('c'))
    clock.after(10, note('a'))
    clock.after(10, note('b'))
    clock.after(40, note('late'))
    clock.after(20, note('cancelled'))()
    await clock.advance(35)
    expect(order).to.deep.equal(['a at 10', 'b at 10', 'c at 30'])
    expect(clock.now()).to.equal(35)
    expect(clock.pending).to.equal(1)
  })

  it('runs what a timer begins before the next one', async () => {
    const clock = new ManualClock(0)
    const order: string[] = []
    clock.after(10, () => {
      void settle().then(() => order.push('what the first began'))
      clock.after(0, () => order.push('what the first set'))
    })
    clock.after(11, () => order.push('second'))
    await clock.advance(20)
    expect(order.at(-1)).to.equal('second')
    expect(order).to.have.length(3)
  })

  it('runs late what was due while nothing ran', async () => {
    const clock = new ManualClock(0)
    const times: number[] = []
    clock.after(10, () => times.push(clock.now()))
    clock.jump(100)
    expect(times).to.deep.equal([])
    await clock.advance(0)
    expect(times).to.deep.equal([100])
  })
})
