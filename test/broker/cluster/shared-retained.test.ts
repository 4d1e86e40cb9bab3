import { expect } from 'chai'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import { compareRetained, PendingRetained } from '../../../broker/cluster/shared-retained.ts'
import { setVersion } from '../../../broker/retained/version.ts'

const READ = 10

/** A message, or nothing. */
type Retained = string | undefined

interface Case {
  readonly title: string
  readonly here: Retained
  /** What Redis has, with its number. */
  readonly there: readonly [string, number] | undefined
  readonly isLossy?: boolean
  readonly isLater?: boolean
  /** The versions, here and there. */
  readonly versions?: readonly [number | undefined, number | undefined]
  /** What readers here are told, '' when it was cleared; or what Redis is told. */
  readonly result: { readonly missed: string } | 'lacking' | 'nothing'
}

const CASES: readonly Case[] = [
  { title: 'the same', here: 'a', there: ['a', 5], result: 'nothing' },
  { title: 'changed since', here: 'a', there: ['b', 11], result: { missed: 'b' } },
  { title: 'new since', here: undefined, there: ['b', 11], result: { missed: 'b' } },
  { title: 'cleared since', here: 'a', there: undefined, result: { missed: '' } },
  {
    title: 'new in a broker that joins',
    here: undefined,
    there: ['b', 3],
    result: { missed: 'b' },
  },
  { title: 'lost by Redis', here: 'a', there: undefined, isLossy: true, result: 'lacking' },
  { title: 'set back by Redis', here: 'b', there: ['a', 9], isLossy: true, result: 'lacking' },
  {
    title: 'cleared, and Redis has lost that',
    here: undefined,
    there: ['a', 9],
    isLossy: true,
    result: 'lacking',
  },
  {
    title: 'new since, in a Redis that has lost something',
    here: undefined,
    there: ['b', 11],
    isLossy: true,
    result: { missed: 'b' },
  },
  {
    title: 'changed since, in a Redis that has lost something',
    here: 'a',
    there: ['b', 11],
    isLossy: true,
    result: { missed: 'b' },
  },
  {
    title: 'changed there, and later here',
    here: 'a',
    there: ['b', 11],
    isLater: true,
    result: 'nothing',
  },
  {
    title: 'cleared there, and later set here',
    here: 'a',
    there: undefined,
    isLater: true,
    result: 'nothing',
  },
  {
    title: 'set there, and later cleared here',
    here: undefined,
    there: ['b', 11],
    isLater: true,
    result: 'nothing',
  },
  {
    title: 'a higher version there, in an entry that was read',
    here: 'a',
    there: ['b', 9],
    versions: [1, 2],
    result: { missed: 'b' },
  },
  {
    title: 'a higher version there, and something later here',
    here: 'a',
    there: ['b', 11],
    isLater: true,
    versions: [1, 2],
    result: { missed: 'b' },
  },
  {
    title: 'a higher version there of the same',
    here: 'a',
    there: ['a', 11],
    versions: [1, 2],
    result: { missed: 'a' },
  },
  {
    title: 'a higher version here',
    here: 'b',
    there: ['a', 11],
    versions: [2, 1],
    result: 'lacking',
  },
  {
    title: 'a higher version here, on its way',
    here: 'b',
    there: ['a', 11],
    isLater: true,
    versions: [2, 1],
    result: 'nothing',
  },
  {
    title: 'the same version, changed since',
    here: 'a',
    there: ['b', 11],
    versions: [2, 2],
    result: { missed: 'b' },
  },
  {
    title: 'a version there alone',
    here: 'a',
    there: ['b', 9],
    versions: [undefined, 2],
    result: 'lacking',
  },
  {
    title: 'cleared here at a higher version',
    here: undefined,
    there: ['a', 11],
    versions: [2, 1],
    result: 'lacking',
  },
  {
    title: 'cleared here at a lower version, on its way',
    here: undefined,
    there: ['b', 11],
    isLater: true,
    versions: [1, 2],
    result: { missed: 'b' },
  },
]

function message(payload: string, qos: 0 | 1 = 0, version?: number): EmittedPacket {
  const packet: EmittedPacket = {
    cmd: 'publish',
    topic: 't',
    payload: Buffer.from(payload),
    qos,
    retain: true,
    dup: false,
    brokerId: 'other',
    brokerCounter: 1,
  }
  if (version !== undefined) setVersion(packet, version)
  return packet
}

describe('what is retained here and in Redis', () => {
  for (const { title, here, there, result, versions = [], ...sides } of CASES) {
    it(title, () => {
      const { isLossy = false, isLater = false } = sides
      const local = here === undefined ? [] : [message(here, 0, versions[0])]
      const stored = new Map(
        there && [['t', { number: there[1], packet: message(there[0], 0, versions[1]) }]],
      )
      const { missed, lacking } = compareRetained({
        local,
        stored,
        position: isLossy || title !== 'new in a broker that joins' ? READ : 0,
        mayLack: () => isLossy,
        versionOn: () => versions[0],
        isLater: () => isLater,
      })
      const texts = missed.map(
        ({ topic, payload, retain }) => `${topic} ${retain} ${String(payload)}`,
      )
      const wanted = typeof result === 'object' ? [`t true ${result.missed}`] : []
      expect(texts).to.deep.equal(wanted)
      expect(lacking).to.deep.equal(result === 'lacking' ? ['t'] : [])
    })
  }

  it('differ when only the QoS does', () => {
    const nothing = { mayLack: () => false, isLater: () => false, versionOn: () => undefined }
    const sides = { position: READ, ...nothing }
    const local = [{ topic: 't', payload: 'a', qos: 0 as const }]
    const stored = new Map([['t', { number: 11, packet: message('a', 1) }]])
    expect(compareRetained({ ...sides, local, stored }).missed).to.have.length(1)
  })
})

describe('a retained message on its way to the log', () => {
  it('is later than what is read until it is read itself, as often as it was sent', () => {
    const pending = new PendingRetained()
    expect(pending.isLater('t')).to.equal(false)
    pending.sent('t')
    pending.sent('t')
    pending.arrived('t')
    expect(pending.isLater('t')).to.equal(true)
    expect(pending.isLater('u')).to.equal(false)
    pending.arrived('t')
    expect(pending.isLater('t')).to.equal(false)
  })

  it('is none after a new beginning, unless it will still be read', () => {
    const pending = new PendingRetained()
    for (const topic of ['t', 'u', 'u']) pending.sent(topic)
    pending.restart(['u'])
    expect(pending.isLater('t')).to.equal(false)
    expect(pending.isLater('u')).to.equal(true)
    pending.arrived('u')
    expect(pending.isLater('u')).to.equal(false)
  })
})
