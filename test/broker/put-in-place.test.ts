import { expect } from 'chai'
import fc from 'fast-check'
import { putInPlace } from '../../broker/persistence/put-in-place.ts'

interface Case {
  readonly title: string
  /** What was there, and what came late. */
  readonly early: string
  readonly late: string
  /** The order that everybody has seen. */
  readonly inOrder: string
  readonly arranged: string
}

const CASES: readonly Case[] = [
  { title: 'nothing came late', early: 'ba', late: '', inOrder: 'ab', arranged: 'ba' },
  { title: 'all came late', early: '', late: 'ab', inOrder: 'ab', arranged: 'ab' },
  { title: 'one between', early: 'ac', late: 'b', inOrder: 'abc', arranged: 'abc' },
  { title: 'one before all', early: 'bc', late: 'a', inOrder: 'abc', arranged: 'abc' },
  { title: 'one after all', early: 'ab', late: 'c', inOrder: 'abc', arranged: 'abc' },
  { title: 'several', early: 'be', late: 'acdf', inOrder: 'abcdef', arranged: 'abcdef' },
  { title: 'older ones', early: 'xac', late: 'b', inOrder: 'abc', arranged: 'xabc' },
  {
    title: 'newer ones, nobody has seen',
    early: 'acy',
    late: 'b',
    inOrder: 'abc',
    arranged: 'abcy',
  },
  { title: 'others in another order', early: 'ca', late: 'b', inOrder: 'abc', arranged: 'bca' },
  { title: 'such as are gone', early: 'ad', late: 'c', inOrder: 'abcd', arranged: 'acd' },
]

describe('messages that came late', () => {
  for (const { title, early, late, inOrder, arranged } of CASES) {
    it(`are put in their place: ${title}`, () => {
      const keys = Array.from(early + late)
      const result = putInPlace(keys, Array.from(inOrder), new Set(Array.from(early)))
      expect(result.join('')).to.equal(arranged)
    })
  }

  it('are all there, once, and in order if the others are', () => {
    const letters = Array.from('abcdefghij')
    fc.assert(
      fc.property(fc.subarray(letters), fc.subarray(letters), (early, all) => {
        const late = all.filter((key) => !early.includes(key))
        const result = putInPlace([...early, ...late], letters, new Set(early))
        expect(result).to.deep.equal([...early, ...late].toSorted())
      }),
    )
  })
})
