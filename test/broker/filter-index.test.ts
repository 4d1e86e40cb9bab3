import { expect } from 'chai'
import fc from 'fast-check'
import { createFilterIndex, type FilterIndex } from '../../broker/fanout/filter-index.ts'

/** What matches, each filter having been added as its own value. */
function matches(index: FilterIndex<string>, topic: string): string[] {
  return index.match(topic).flatMap((values) => [...values])
}

function indexOf(...filters: string[]): FilterIndex<string> {
  const index = createFilterIndex<string>()
  for (const filter of filters) index.add(filter, filter)
  return index
}

/** MQTT 4.7 word by word, one filter at a time. */
function matchesNaively(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const given = topic.split('/')
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false
  for (const [depth, name] of wanted.entries()) {
    if (name === '#') return true
    if (depth >= given.length) return false
    if (name !== '+' && name !== given[depth]) return false
  }
  return wanted.length === given.length
}

// Few names, so that filters and topics meet often; the empty one is a level too.
const NAMES = ['', 'a', 'b', '$s']
const name = fc.constantFrom(...NAMES)
const topics = fc
  .array(name, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic !== '')
const filters = fc
  .tuple(
    fc.array(fc.constantFrom('+', ...NAMES), { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '/#'),
  )
  .map(([levels, end]) => levels.join('/') + end)
  .filter((filter) => filter !== '')

describe('the filter index', () => {
  const table: [filter: string, topic: string, matches: boolean][] = [
    ['a/b', 'a/b', true],
    ['a/b', 'a', false],
    ['a', 'a/b', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a', false],
    ['a/+', 'a/b/c', false],
    ['a/+', 'a/', true],
    ['+', '/a', false],
    ['+/+', '/a', true],
    ['/+', '/a', true],
    ['a/#', 'a', true],
    ['a/#', 'a/', true],
    ['a/#', 'a/b/c', true],
    ['a/+/#', 'a', false],
    ['#', 'a//b', true],
    ['#', '$SYS/a', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS/a', true],
    ['$SYS/+', '$SYS/a', true],
    ['a/+', 'a/$b', true],
    ['toString', 'toString', true],
    ['__proto__/+', '__proto__/constructor', true],
  ]
  for (const [filter, topic, expected] of table) {
    it(`${filter} ${expected ? 'matches' : 'does not match'} ${topic}`, () => {
      expect(matches(indexOf(filter), topic)).to.deep.equal(expected ? [filter] : [])
    })
  }

  it('finds every value of a filter, and every filter', () => {
    const index = createFilterIndex<number>()
    index.add('a/b', 1)
    index.add('a/b', 2)
    index.add('a/#', 1)
    expect(index.match('a/b').map((values) => [...values])).to.have.deep.members([[1, 2], [1]])
  })

  it('adding a value twice is adding it once', () => {
    const index = indexOf('a', 'a')
    index.remove('a', 'a')
    expect(matches(index, 'a')).to.deep.equal([])
  })

  it('removing what is not there changes nothing', () => {
    const index = indexOf('a/b', 'a/+', 'a/#')
    for (const filter of ['a', 'a/b/c', 'a/+/#', 'b', '#', '+']) index.remove(filter, filter)
    index.remove('a/b', 'another value')
    expect(matches(index, 'a/b')).to.have.members(['a/b', 'a/+', 'a/#'])
  })

  it('matches as MQTT says, after any additions and removals', () => {
    const changes = fc.array(fc.tuple(fc.boolean(), filters), { maxLength: 40 })
    fc.assert(
      fc.property(changes, fc.array(topics, { minLength: 1, maxLength: 10 }), (steps, asked) => {
        const index = createFilterIndex<string>()
        const there = new Set<string>()
        for (const [isAdded, filter] of steps) {
          if (isAdded) {
            index.add(filter, filter)
            there.add(filter)
          } else {
            index.remove(filter, filter)
            there.delete(filter)
          }
        }
        for (const topic of asked) {
          const expected = [...there].filter((filter) => matchesNaively(filter, topic))
          expect(matches(index, topic)).to.have.members(expected)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('costs what matches, not what is there', () => {
    const index = createFilterIndex<string>()
    const asked = { few: 0, many: 0 }
    index.add('room/7/+', 'watched')
    const time = (): number => {
      const from = process.hrtime.bigint()
      for (let i = 0; i < 20_000; i++) index.match('room/7/events')
      return Number(process.hrtime.bigint() - from)
    }
    time()
    asked.few = time()
    for (let i = 0; i < 100_000; i++) index.add(`room/${i}/events/${i}`, 'other')
    time()
    asked.many = time()
    expect(asked.many).to.be.lessThan(asked.few * 20)
  })
})
