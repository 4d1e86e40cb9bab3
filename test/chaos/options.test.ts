import { expect } from 'chai'
import { commandOf, DEFAULTS, parseOptions } from './options.ts'
import { makePlan } from './plan.ts'

describe('the options of the chaos', () => {
  it('have defaults', () => {
    expect(parseOptions([])).to.deep.equal({ kind: 'run', options: DEFAULTS })
  })

  it('are taken from the command line', () => {
    const asked = parseOptions('--seed 7 --seconds 120 --topology bridges --rate 2.5'.split(' '))
    const options = { ...DEFAULTS, seed: 7, seconds: 120, topology: 'bridges', rate: 2.5 }
    expect(asked).to.deep.equal({ kind: 'run', options })
  })

  it('come back from the command that repeats a run', () => {
    const options = { ...DEFAULTS, seed: 99, topology: 'cluster' } as const
    const words = commandOf(options).split(' ').slice(4)
    expect(parseOptions(words)).to.deep.equal({ kind: 'run', options })
  })

  it('can be asked for', () => {
    expect(parseOptions(['--help'])).to.deep.equal({ kind: 'help' })
  })

  const wrong = [
    ['--seed', 'x', '--seed must be a whole number from 0 to 4294967295, got x'],
    ['--seconds', '0', '--seconds must be a number from 1 to 86400, got 0'],
    ['--users', '1.5', '--users must be a whole number from 1 to 1000, got 1.5'],
    [
      '--without',
      'sun',
      '--without must name server stop, server kill, server restart, broker stop, broker kill, broker restart, bridge stop, bridge kill, bridge restart, redis stop, redis kill, redis empty, redis drop, line stall, line cut, got sun',
    ],
    ['--topology', 'ring', '--topology must be one of single, bridges, cluster, got ring'],
  ] as const
  for (const [flag, value, sentence] of wrong) {
    it(`are refused in a sentence: ${flag} ${value}`, () => {
      expect(parseOptions([flag, value])).to.deep.equal({ kind: 'wrong', sentence })
    })
  }

  it('are refused when nobody knows them', () => {
    expect(parseOptions(['--sead', '1']).kind).to.equal('wrong')
    expect(parseOptions(['seed']).kind).to.equal('wrong')
  })
})

describe('the plan of the chaos', () => {
  const options = { ...DEFAULTS, topology: 'cluster', seconds: 120 } as const

  it('is the same for the same seed', () => {
    expect(makePlan(options)).to.deep.equal(makePlan(options))
  })

  it('is another one for another seed', () => {
    expect(makePlan(options)).not.to.deep.equal(makePlan({ ...options, seed: 2 }))
  })

  it('is in the order of time and within the time', () => {
    const times = makePlan(options).map(({ at }) => at)
    expect(times).to.deep.equal(times.toSorted((a, b) => a - b))
    expect(times.at(-1)).to.be.below(120_000)
  })

  it('leaves out what it is told to', () => {
    const plan = makePlan({ ...options, seconds: 1000, without: 'redis empty,bridge kill' })
    const kinds = plan.flatMap((a) => (a.type === 'fault' ? [`${a.part} ${a.harm}`] : []))
    expect(kinds).to.include('redis kill')
    expect(kinds).not.to.include.members(['redis empty'])
    expect(kinds).not.to.include.members(['bridge kill'])
  })

  it('breaks every part of a topology, given time', () => {
    const plan = makePlan({ ...options, seconds: 3000, rate: 0.1 })
    const kinds = plan.flatMap((a) => (a.type === 'fault' ? [`${a.part} ${a.harm}`] : []))
    const expected =
      'bridge kill, bridge restart, bridge stop, broker kill, broker restart, broker stop, ' +
      'line cut, line stall, redis drop, redis empty, redis kill, redis stop'
    expect([...new Set(kinds)].toSorted().join(', ')).to.equal(expected)
  })
})
