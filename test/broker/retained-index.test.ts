import { expect } from 'chai'
import fc from 'fast-check'

import { RetainedIndex } from '../../broker/retained/retained-index.ts'

describe('RetainedIndex', () => {
  // The examples of MQTT 4.7, and what its rules say about empty levels.
  const examples: [filter: string, matching: string[], others: string[]][] = [
    [
      'sport/tennis/player1/#',
      [
        'sport/tennis/player1',
        'sport/tennis/player1/ranking',
        'sport/tennis/player1/score/wimbledon',
      ],
      ['sport/tennis/player2', 'sport/tennis', 'sport/tennis/player10'],
    ],
    ['sport/#', ['sport', 'sport/', 'sport/a/b'], ['sports', '/sport']],
    ['#', ['a', '/', 'a/b/c', ''], ['$SYS', '$SYS/a']],
    ['sport/tennis/+', ['sport/tennis/player1', 'sport/tennis/'], ['sport/tennis/player1/ranking']],
    ['sport/+', ['sport/'], ['sport']],
    ['+', ['finance', ''], ['/finance', '$SYS', 'a/b']],
    ['+/+', ['/finance', '/', 'a/b', 'a/'], ['finance', '//']],
    ['/+', ['/finance', '/'], ['finance']],
    ['+/tennis/#', ['sport/tennis', '/tennis/x'], ['sport/x/tennis', '$sport/tennis']],
    ['+/monitor/Clients', ['a/monitor/Clients'], ['$SYS/monitor/Clients']],
    ['$SYS/#', ['$SYS', '$SYS/a'], ['SYS/a', '$SYSTEM']],
    ['$SYS/monitor/+', ['$SYS/monitor/Clients'], ['$SYS/monitor']],
    ['a/+/#', ['a/$b', 'a/', 'a/b/c'], ['a']],
    ['a/#', ['a', 'a/', 'a//b', 'a/$b/c'], ['A', 'b/a']],
    ['a/+/b', ['a//b', 'a/$/b'], ['a/b', 'a/x/x/b']],
    ['a/', ['a/'], ['a', 'a//']],
    ['/', ['/'], ['', '//']],
    ['Accounts', ['Accounts'], ['ACCOUNTS', 'Accounts/']],
    ['__proto__/+', ['__proto__/constructor'], ['prototype/constructor']],
  ]

  for (const [filter, matching, others] of examples) {
    it(`${filter} matches ${matching.map(quote).join(', ')}, not ${others.map(quote).join(', ')}`, () => {
      const index = indexOf([...others, ...matching])
      expect([...index.match(filter)]).to.have.members(matching)
    })
  }

  it('behaves like a list of topics that is searched by the rules of MQTT', () => {
    const level = fc.constantFrom('', 'a', 'b', '$x', '__proto__')
    const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map(join)
    const filter = fc
      .tuple(
        fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }),
        fc.constantFrom<string[]>([], ['#']),
      )
      .map(([levels, end]) => [...levels, ...end])
      .filter((levels) => levels.length > 0)
      .map(join)
    const step = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), topic }),
      fc.record({ kind: fc.constant('delete' as const), topic }),
      fc.record({ kind: fc.constant('match' as const), filter }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const index = new RetainedIndex<string>()
        const list = new Set<string>()
        for (const does of steps) {
          if (does.kind === 'set') {
            index.set(does.topic, does.topic)
            list.add(does.topic)
          } else if (does.kind === 'delete') {
            expect(index.delete(does.topic)).to.equal(list.delete(does.topic))
          } else {
            const expected = [...list].filter((each) => matches(does.filter, each))
            expect([...index.match(does.filter)].toSorted()).to.deep.equal(expected.toSorted())
          }
          expect(index.size).to.equal(list.size)
        }
        for (const each of list) expect(index.get(each)).to.equal(each)
      }),
    )
  })

  it('has no value for a level that only leads to another', () => {
    const index = indexOf(['a/b/c'])
    expect(index.get('a/b')).to.equal(undefined)
    expect(index.delete('a/b')).to.equal(false)
    expect([...index.match('a/b')]).to.deep.equal([])
  })

  it('keeps what lies below and beside a topic that is deleted', () => {
    const index = indexOf(['a', 'a/b', 'a/c'])
    index.delete('a')
    index.delete('a/c')
    expect([...index.match('#')]).to.deep.equal(['a/b'])
  })

  it('is empty after clear', () => {
    const index = indexOf(['a', 'a/b'])
    index.clear()
    expect(index.size).to.equal(0)
    expect([...index.match('#')]).to.deep.equal([])
  })

  it('gives a value that was replaced during the iteration as it is now', () => {
    const index = indexOf(['a/1', 'a/2'])
    const found = index.match('a/+')
    expect(found.next().value).to.equal('a/1')
    index.set('a/2', 'new')
    expect([...found]).to.deep.equal(['new'])
  })

  it('leaves out what was deleted during the iteration, and goes on with the rest', () => {
    const index = indexOf(['a/1', 'a/2', 'a/3/x', 'b'])
    const found = index.match('#')
    expect(found.next().value).to.equal('a/1')
    for (const topic of ['a/1', 'a/2', 'a/3/x']) index.delete(topic)
    expect([...found]).to.deep.equal(['b'])
  })

  it('survives an iteration during which everything is deleted', () => {
    const index = indexOf(['a/1', 'a/2', 'b/1'])
    const found = index.match('+/+')
    found.next()
    index.clear()
    index.set('c/1', 'c/1')
    expect([...found].length).to.be.lessThan(3)
  })

  it('finds what is stored all the time exactly once while others come and go', () => {
    const staying = Array.from({ length: 50 }, (_, i) => `room/${i}/x`)
    const index = indexOf(staying)
    const found: string[] = []
    let i = 0
    for (const topic of index.match('room/#')) {
      if (topic.endsWith('/x')) found.push(topic)
      index.set(`room/${i % 50}/y`, 'y')
      index.delete(`room/${(i + 7) % 50}/y`)
      i++
    }
    expect(found.toSorted()).to.deep.equal(staying.toSorted())
  })

  it('takes topics of ten thousand levels', () => {
    const topic = Array.from({ length: 10_000 }, () => 'a').join('/')
    const index = indexOf([topic])
    expect([...index.match('#')]).to.deep.equal([topic])
    expect([...index.match('+/#')]).to.deep.equal([topic])
    expect(index.delete(topic)).to.equal(true)
    expect([...index.match('#')]).to.deep.equal([])
  })

  it('gives others a turn while it searches much and finds little', () => {
    const index = indexOf(Array.from({ length: 10_000 }, (_, n) => `users/${n}/status`))
    expect([...index.search('users/+/nothing')]).to.deep.equal(Array(10).fill(undefined))
    expect([...index.search('users/7/status')]).to.deep.equal(['users/7/status'])
    const found = [...index.search('users/+/status')].filter((topic) => topic !== undefined)
    expect(found).to.have.length(10_000)
  })
})

function indexOf(topics: readonly string[]): RetainedIndex<string> {
  const index = new RetainedIndex<string>()
  for (const topic of topics) index.set(topic, topic)
  return index
}

function quote(topic: string): string {
  return topic === '' ? 'the empty topic' : topic
}

function join(levels: readonly string[]): string {
  return levels.join('/')
}

/** The rules of MQTT 4.7 once more, as plainly as they can be written. */
function matches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false
  const topicLevels = topic.split('/')
  const filterLevels = filter.split('/')
  if (filterLevels.at(-1) === '#') {
    const prefix = filterLevels.slice(0, -1)
    return prefix.length <= topicLevels.length && equal(prefix, topicLevels.slice(0, prefix.length))
  }
  return filterLevels.length === topicLevels.length && equal(filterLevels, topicLevels)
}

function equal(filter: readonly string[], topic: readonly string[]): boolean {
  return filter.every((level, i) => level === '+' || level === topic[i])
}
