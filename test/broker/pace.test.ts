import { expect } from 'chai'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createPace } from '../../broker/sessions/pace.ts'

describe('The pace of endings', () => {
  it('does a few at once', () => {
    const pace = createPace(3)
    const done: number[] = []
    for (const n of [1, 2, 3]) pace(() => done.push(n))
    expect(done).to.deep.equal([1, 2, 3])
  })

  it('does many in slices, in order, and lets others run between', async () => {
    const pace = createPace(3)
    const done: number[] = []
    for (let n = 1; n <= 8; n++) pace(() => done.push(n))
    const seen: number[] = []
    for (let turn = 0; turn < 4; turn++) {
      seen.push(done.length)
      await nextTurn()
    }
    expect(seen).to.deep.equal([3, 6, 8, 8])
    expect(done).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('puts what comes later behind what waits', async () => {
    const pace = createPace(1)
    const done: string[] = []
    pace(() => {
      done.push('first')
      pace(() => done.push('third'))
    })
    pace(() => done.push('fourth'))
    done.push('second')
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    expect(done).to.deep.equal(['first', 'second', 'third', 'fourth'])
  })

  it('has its whole share again in a later turn', async () => {
    const pace = createPace(2)
    const done: number[] = []
    for (let n = 0; n < 5; n++) pace(() => done.push(n))
    for (let turn = 0; turn < 4; turn++) await nextTurn()
    for (let n = 5; n < 7; n++) pace(() => done.push(n))
    expect(done).to.deep.equal([0, 1, 2, 3, 4, 5, 6])
  })
})
