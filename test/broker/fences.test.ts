import { expect } from 'chai'
import { Fences, isOvertaken } from '../../broker/retained/fences.ts'
import { takeVersion, versionOf, type Versioned } from '../../broker/retained/version.ts'

const KEPT = 600_000

describe('whether a message is overtaken', () => {
  const cases: readonly [
    title: string,
    version: number | undefined,
    known: number | undefined,
    is: boolean,
  ][] = [
    ['it is older', 6, 7, true],
    ['it is as old', 7, 7, false],
    ['it is newer', 8, 7, false],
    ['nothing was there', 7, undefined, false],
    ['it has no version', undefined, 7, false],
    ['nobody has versions', undefined, undefined, false],
    ['versions begin with 0', 0, 1, true],
  ]
  for (const [title, version, known, is] of cases) {
    it(`${is ? 'yes' : 'no'}: ${title}`, () => {
      expect(isOvertaken(version, known)).to.equal(is)
    })
  }
})

describe('the version of a topic on which nothing is retained', () => {
  interface Case {
    readonly title: string
    /** What was noted: when, where, which version. */
    readonly notes: readonly (readonly [at: number, topic: string, version: number])[]
    readonly at: number
    /** What is known then of the topics a, b and c. */
    readonly known: readonly (number | undefined)[]
  }
  const cases: readonly Case[] = [
    { title: 'is noted', notes: [[0, 'a', 5]], at: 0, known: [5, undefined, undefined] },
    {
      title: 'grows',
      notes: [
        [0, 'a', 5],
        [1, 'a', 6],
      ],
      at: 1,
      known: [6, undefined, undefined],
    },
    {
      title: 'does not go back',
      notes: [
        [0, 'a', 6],
        [1, 'a', 5],
      ],
      at: 1,
      known: [6, undefined, undefined],
    },
    {
      title: 'is known until just before it is forgotten',
      notes: [[0, 'a', 5]],
      at: KEPT - 1,
      known: [5, undefined, undefined],
    },
    {
      title: 'is forgotten in time',
      notes: [[0, 'a', 5]],
      at: KEPT,
      known: [undefined, undefined, undefined],
    },
    {
      title: 'is kept for longer when it comes again',
      notes: [
        [0, 'a', 5],
        [1, 'a', 5],
      ],
      at: KEPT,
      known: [5, undefined, undefined],
    },
    {
      title: 'goes first where there are too many, if it was noted first',
      notes: [
        [0, 'a', 9],
        [1, 'b', 8],
        [2, 'a', 9],
        [3, 'c', 7],
      ],
      at: 3,
      known: [9, undefined, 7],
    },
    {
      title: 'may begin low when it was forgotten',
      notes: [
        [0, 'a', 9],
        [KEPT, 'a', 1],
      ],
      at: KEPT,
      known: [1, undefined, undefined],
    },
  ]
  for (const { title, notes, at, known } of cases) {
    it(title, () => {
      const fences = new Fences(2)
      for (const [when, topic, version] of notes) fences.note(topic, version, when)
      expect(['a', 'b', 'c'].map((topic) => fences.get(topic, at))).to.deep.equal(known)
    })
  }
})

describe('the version in a user property', () => {
  function taken(userProperties: Record<string, string | string[]>): readonly unknown[] {
    const packet: Versioned = { properties: { userProperties } }
    takeVersion(packet)
    return [versionOf(packet), { ...packet.properties?.userProperties }]
  }
  const cases = [
    [{ version: '1772355600000' }, 1_772_355_600_000, {}],
    [{ a: 'b', version: '7' }, 7, { a: 'b' }],
    [{ version: ['7', '8'] }, 7, {}],
    [{ a: 'b' }, undefined, { a: 'b' }],
    [{ version: '-7' }, undefined, {}],
    [{ version: '7.5' }, undefined, {}],
    [{ version: '9007199254740992' }, undefined, {}],
    [{ version: '' }, undefined, {}],
  ] as const
  for (const [properties, version, rest] of cases) {
    it(`${JSON.stringify(properties)} is ${version}`, () => {
      expect(taken({ ...properties } as Record<string, string>)).to.deep.equal([version, rest])
    })
  }
})
