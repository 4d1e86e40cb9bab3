import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import { createLanes } from '../../broker/fanout/lanes.ts'

describe('lanes', () => {
  function lanes(budget: number) {
    const { run } = createLanes(budget)
    const done: string[] = []
    const give = (lane: string, name: string, cost = 1): void =>
      run(lane, () => {
        done.push(name)
        return cost
      })
    return { run, done, give }
  }

  it('run a job at once while the turn has room', () => {
    const { done, give } = lanes(2)
    for (const name of ['a1', 'a2', 'a3']) give('a', name)
    expect(done).to.deep.equal(['a1', 'a2'])
  })

  it('go on in the next turns, in the order of each lane', async () => {
    const { done, give } = lanes(2)
    const names = Array.from({ length: 7 }, (_, i) => `a${i}`)
    for (const name of names) give('a', name)
    await nextTurn()
    expect(done).to.deep.equal(names.slice(0, 4))
    while (done.length < names.length) await nextTurn()
    expect(done).to.deep.equal(names)
  })

  it('take turns, so that one long lane holds nobody up', async () => {
    const { done, give } = lanes(3)
    for (let i = 0; i < 100; i++) give('a', `a${i}`)
    give('b', 'b0')
    give('c', 'c0')
    await nextTurn()
    expect(done).to.deep.equal(['a0', 'a1', 'a2', 'a3', 'b0', 'c0'])
  })

  it('let a job take longer than a turn', async () => {
    const { done, give } = lanes(3)
    give('a', 'long', 1000)
    give('b', 'short')
    expect(done).to.deep.equal(['long'])
    await nextTurn()
    expect(done).to.deep.equal(['long', 'short'])
  })

  it('never run a job within another one', async () => {
    const { run, done, give } = lanes(10)
    run('a', () => {
      give('b', 'inner')
      done.push('outer')
      return 1
    })
    expect(done).to.deep.equal(['outer'])
    await nextTurn()
    expect(done).to.deep.equal(['outer', 'inner'])
  })

  it('go on after a job that throws', async () => {
    const { run, done, give } = lanes(1)
    const fail = (): never => {
      throw new Error('a bug')
    }
    expect(() => run('a', fail)).to.throw('a bug')
    give('a', 'next')
    give('b', 'last')
    while (done.length < 2) await nextTurn()
    expect(done).to.deep.equal(['next', 'last'])
  })
})
