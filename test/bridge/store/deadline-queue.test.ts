import { expect } from 'chai'
import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { DeadlineQueue } from '../../../bridge/store/deadline-queue.ts'

describe('a queue of deadlines', () => {
  it('gives the earliest first, as many as are asked for, and keeps them', () => {
    const queue = new DeadlineQueue()
    for (const [key, at] of Object.entries({ c: 30, a: 10, d: 40, b: 20 })) queue.set(key, at)
    expect(queue.next()).to.equal(10)
    expect(queue.due(30, 10)).to.deep.equal(['a', 'b', 'c'])
    expect(queue.due(30, 2)).to.deep.equal(['a', 'b'])
    expect(queue.due(9, 10)).to.deep.equal([])
    expect(queue.next()).to.equal(10)
  })

  it('replaces and removes a deadline', () => {
    const queue = new DeadlineQueue()
    queue.set('a', 10)
    queue.set('a', 30)
    expect(queue.next()).to.equal(30)
    expect(queue.due(20, 10)).to.deep.equal([])
    queue.set('a', null)
    expect(queue.next()).to.equal(null)
    expect(queue.due(99, 10)).to.deep.equal([])
  })

  it('gives a key once, and others their turn, though its deadline was set, moved, and set again', () => {
    const queue = new DeadlineQueue()
    for (let i = 0; i < 10; i++) {
      queue.set('a', 10)
      queue.set('a', 20)
    }
    queue.set('a', 10)
    queue.set('b', 11)
    expect(queue.due(15, 2)).to.deep.equal(['a', 'b'])
  })

  it('takes the names of Object.prototype as keys', () => {
    const queue = new DeadlineQueue()
    queue.set('__proto__', 1)
    queue.set('constructor', 2)
    expect(queue.due(5, 5)).to.deep.equal(['__proto__', 'constructor'])
  })

  it('does what a list would do', () => {
    const operations = fc.array(
      fc.oneof(
        fc.record({
          kind: fc.constant('set' as const),
          key: fc.constantFrom('a', 'b', 'c', 'd'),
          at: fc.option(fc.nat(9)),
        }),
        fc.record({
          kind: fc.constant('due' as const),
          now: fc.nat(9),
          limit: fc.integer({ min: 1, max: 5 }),
        }),
      ),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(operations, (list) => {
        const queue = new DeadlineQueue()
        const model = new Map<string, number>()
        for (const operation of list) {
          if (operation.kind === 'set') {
            const { key, at } = operation
            queue.set(key, at)
            if (at === null) model.delete(key)
            else model.set(key, at)
          } else {
            const { now, limit } = operation
            const times = (keys: readonly string[]) => keys.map((key) => model.get(key))
            const due = [...model.keys()].filter((key) => (model.get(key) ?? 0) <= now)
            const got = queue.due(now, limit)
            expect(new Set(got).size).to.equal(got.length)
            expect(times(got)).to.deep.equal(
              times(due)
                .toSorted((a = 0, b = 0) => a - b)
                .slice(0, limit),
            )
            expect(new Set(queue.before(now + 1))).to.deep.equal(new Set(due))
          }
          expect(queue.next()).to.equal(model.size === 0 ? null : Math.min(...model.values()))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('does not pile up what was replaced', () => {
    const queue = new DeadlineQueue()
    // Far in the future, where nothing is ever taken out by its time.
    const far = 1e15
    const before = usedMegabytes()
    for (let i = 0; i < 400_000; i++) queue.set(`user-${i % 100}`, far - i)
    expect(usedMegabytes() - before).to.be.lessThan(2)
    expect(queue.next()).to.equal(far - 399_999)
  })
})

function usedMegabytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed / 1e6
}
