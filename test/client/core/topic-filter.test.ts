import { expect } from 'chai'
import { matchesFilter } from '../../../client/core/index.ts'

describe('a topic filter', () => {
  for (const [filter, topic, expected] of [
    ['a/b', 'a/b', true],
    ['a/b', 'a/b/c', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['#', '$SYS/a', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS/a', true],
    ['+', '/a', false],
  ] as const) {
    it(`${filter} ${expected ? 'has' : 'has not'} ${topic}`, () => {
      expect(matchesFilter(filter, topic)).to.equal(expected)
    })
  }
})
