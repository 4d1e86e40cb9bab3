import { expect } from 'chai'
import { createLimitedWarning } from '../../runtime/log-limit.ts'
import { silentLogger } from '../../runtime/logger.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

describe('a limited warning', () => {
  let clock: ManualClock
  let lines: object[]
  let warn: (fields: object, message: string) => void

  beforeEach(() => {
    clock = new ManualClock(1_000_000)
    lines = []
    const warnings = { ...silentLogger, warn: (fields: object) => lines.push(fields) }
    warn = createLimitedWarning(warnings, clock, 3)
  })

  it('writes so many lines a second, and no more', async () => {
    for (let i = 0; i < 10; i++) warn({ i }, 'no')
    expect(lines).to.deep.equal([{ i: 0 }, { i: 1 }, { i: 2 }])
    await clock.advance(999)
    warn({ i: 10 }, 'no')
    expect(lines).to.have.length(3)
  })

  it('says in the next line how many were left out', async () => {
    for (let i = 0; i < 10; i++) warn({ i }, 'no')
    await clock.advance(1000)
    warn({ i: 10 }, 'no')
    warn({ i: 11 }, 'no')
    expect(lines.slice(3)).to.deep.equal([{ i: 10, suppressed: 7 }, { i: 11 }])
  })

  it('does not change what it is given', () => {
    const fields = Object.freeze({ a: 1 })
    for (let i = 0; i < 5; i++) warn(fields, 'no')
    expect(fields).to.deep.equal({ a: 1 })
  })
})
