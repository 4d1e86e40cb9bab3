import { expect } from 'chai'
import { createLimitedWarning, type LogShares } from '../../runtime/log-limit.ts'
import { silentLogger } from '../../runtime/logger.ts'

/** What is said at a time: by whom, how often, and how many lines come of it. */
type Step = readonly [atMs: number, user: string, times: number, lines: number]

interface Row {
  readonly title: string
  readonly shares?: LogShares
  readonly steps: readonly Step[]
}

/** 3 lines at once and one a second for each; 10 and two a second for all. */
const SHARES = { burst: 3, perSecond: 1, burstOfAll: 10, perSecondOfAll: 2 }

const ROWS: readonly Row[] = [
  {
    title: 'who floods has its share at once, and then so much a second',
    steps: [
      [0, 'flood', 100, 3],
      [999, 'flood', 100, 0],
      [1000, 'flood', 100, 1],
      [3000, 'flood', 100, 2],
      [60_000, 'flood', 100, 3],
    ],
  },
  {
    title: 'who floods hides no line of another one',
    steps: [
      [0, 'flood', 1000, 3],
      [0, 'other', 1, 1],
      [500, 'flood', 1000, 0],
      [500, 'other', 2, 2],
    ],
  },
  {
    title: 'many who flood have half of all lines; the rest is for who has had none',
    steps: [
      [0, 'a', 100, 3],
      [0, 'b', 100, 2],
      [0, 'c', 100, 1],
      [0, 'd', 100, 1],
      [0, 'other', 1, 1],
      [0, 'other', 1, 0],
    ],
  },
  {
    title: 'all together are bounded, whoever they say they are',
    steps: [
      ...Array.from({ length: 10 }, (_, i): Step => [0, `stranger ${i}`, 1, 1]),
      [0, 'stranger 10', 1, 0],
      [499, 'stranger 11', 1, 0],
      [500, 'stranger 12', 1, 1],
      [500, 'stranger 13', 1, 0],
    ],
  },
  {
    title: 'who goes on is remembered, and who was heard longest ago is forgotten',
    shares: { ...SHARES, burst: 1, burstOfAll: 100, maxSources: 3 },
    steps: [
      [0, 'flood', 2, 1],
      [0, 'a', 2, 1],
      [0, 'b', 1, 1],
      [0, 'flood', 1, 0],
      [0, 'c', 1, 1],
      [0, 'flood', 1, 0],
      [0, 'a', 1, 1],
    ],
  },
  {
    title: 'a clock that is set back takes no lines and gives none',
    steps: [
      [100_000, 'flood', 100, 3],
      [50_000, 'flood', 100, 0],
      [51_000, 'flood', 100, 1],
    ],
  },
]

function start(shares: LogShares = SHARES) {
  const clock = { time: 0, now: () => clock.time, after: () => () => {} }
  const lines: object[] = []
  const logger = { ...silentLogger, warn: (fields: object) => void lines.push(fields) }
  return { clock, lines, warn: createLimitedWarning(logger, clock, shares) }
}

describe('a limited warning', () => {
  for (const { title, shares, steps } of ROWS) {
    it(title, () => {
      const { clock, lines, warn } = start(shares)
      const written = steps.map(([at, user, times]) => {
        clock.time = at
        const before = lines.length
        for (let i = 0; i < times; i++) warn({ user }, 'no')
        return [at, user, times, lines.length - before]
      })
      expect(written).to.deep.equal(steps)
    })
  }

  it('says in the next line how many were left out, and of whom, most first', () => {
    const { lines, warn } = start({ ...SHARES, burstOfAll: 100 })
    for (let i = 0; i < 10; i++) warn({ user: 'a' }, 'no')
    for (const user of ['b', 'b', 'b', 'b']) warn({ user }, 'no')
    for (const user of ['a', 'a', 'c', 'c']) warn({ user }, 'no')
    expect(lines.slice(3)).to.deep.equal([
      { user: 'b', suppressed: 7, suppressedOf: [{ source: 'a', lines: 7 }] },
      { user: 'b' },
      { user: 'b' },
      {
        user: 'c',
        suppressed: 3,
        suppressedOf: [
          { source: 'a', lines: 2 },
          { source: 'b', lines: 1 },
        ],
      },
      { user: 'c' },
    ])
  })

  for (const [fields, source] of [
    [{ user: 'u', client: 'c', address: '::1', topic: 't' }, 'u'],
    [{ user: undefined, client: 'c', address: '::1' }, 'c'],
    [{ client: null, address: '::1' }, '::1'],
    [{ topic: 't' }, 't'],
    [{ topic: 't'.repeat(10_000) }, 't'.repeat(256)],
    [{ error: 'x' }, ''],
  ] as const) {
    it(`takes ${source.slice(0, 3) || 'nobody'} for the source of ${JSON.stringify(fields).slice(0, 60)}`, () => {
      const { lines, warn } = start({ ...SHARES, burst: 1 })
      for (let i = 0; i < 3; i++) warn(fields, 'no')
      warn({ user: 'other' }, 'no')
      expect(lines.at(-1)).to.deep.include({ suppressedOf: [{ source, lines: 2 }] })
    })
  }

  it('names five at most, and remembers so many; the count is of all', () => {
    const { clock, lines, warn } = start({ ...SHARES, burst: 1, maxSources: 7 })
    for (let i = 0; i < 5; i++) warn({ user: `first ${i}` }, 'no')
    for (let i = 0; i < 100; i++) for (const _ of '12') warn({ user: `user ${i}` }, 'no')
    clock.time = 60_000
    const told = lines.at(-1)
    warn({ user: 'other' }, 'no')
    expect(told).to.not.equal(lines.at(-1))
    const { suppressed, suppressedOf } = lines.at(-1) as {
      suppressed: number
      suppressedOf: readonly { readonly source: string }[]
    }
    const before = lines.slice(0, -1) as readonly { readonly suppressed?: number }[]
    const earlier = before.reduce((sum, line) => sum + (line.suppressed ?? 0), 0)
    expect(earlier + suppressed + lines.length).to.equal(206)
    expect(suppressedOf.map(({ source }) => source)).to.deep.equal(
      [94, 95, 96, 97, 98].map((i) => `user ${i}`),
    )
  })

  it('does not change what it is given', () => {
    const { warn } = start()
    const fields = Object.freeze({ user: 'a' })
    for (let i = 0; i < 5; i++) warn(fields, 'no')
    expect(fields).to.deep.equal({ user: 'a' })
  })
})
