import { expect } from 'chai'
import { connectOf } from './bytes.ts'
import { ARRIVALS } from './arrivals.ts'
import type { Case } from './cases.ts'
import { IN_BOTH } from './packets-of-both.ts'
import { ONLY_IN_31, ONLY_IN_311, ONLY_IN_5 } from './packets-of-one.ts'
import { openHouse, type House, type Stranger, type Transport } from './stranger.ts'

const CASES: readonly Case[] = [
  ...ARRIVALS,
  ...IN_BOTH,
  ...ONLY_IN_31,
  ...ONLY_IN_311,
  ...ONLY_IN_5,
]

const NAMES = { 3: '3.1', 4: '3.1.1', 5: '5' } as const

describe('the gate', function () {
  this.timeout(20_000)
  let house: House

  before(async () => (house = await openHouse()))
  after(() => house.close())

  describe('over TCP', () => defineAll('tcp', CASES))
  describe('over WebSocket', () => {
    const sample = CASES.filter((_, i) => i % 4 === 0)
    defineAll('websocket', sample)
  })

  function defineAll(transport: Transport, cases: readonly Case[]): void {
    for (const one of cases) {
      const { title, version, refused } = one
      const where = version === undefined ? '' : `${NAMES[version]}: `
      const what = refused === undefined ? 'takes' : `refuses (${refused})`
      it(`${where}${what} ${title}`, async () => {
        const before = house.broker.metrics()
        const stranger = await house.connect(transport)
        const answer = await send(stranger, one)
        if (one.answer === 'accepted') {
          expect([answer[0], answer[3]]).to.deep.equal([0x20, 0])
        } else {
          expect(answer.toString('hex')).to.equal(one.answer.toString('hex'))
        }
        expect(newlyRefused(before)).to.deep.equal(refused === undefined ? [] : [refused])
      })
    }
  }

  async function send(stranger: Stranger, one: Case): Promise<Buffer> {
    let preface = 0
    if (one.version !== undefined) {
      await stranger.send(connectOf(one.version))
      // A CONNACK, whose second byte says how long the rest is.
      const connack = await stranger.untilReceived(4)
      preface = 2 + (connack[1] ?? 0)
    }
    await stranger.send(one.bytes)
    if (one.refused !== undefined) return (await stranger.untilClosed()).subarray(preface)
    // The answer to a PINGREQ may overtake others; and when it has come, there are no others.
    await stranger.untilReceived(preface + (one.answer === 'accepted' ? 4 : one.answer.length))
    return (await stranger.untilPingAnswered()).subarray(preface)
  }

  function newlyRefused(before: Record<string, number>): string[] {
    const counters = Object.entries(house.broker.metrics())
    return counters
      .filter(([name, count]) => name.startsWith('refused_') && count > (before[name] ?? 0))
      .map(([name]) => name.slice('refused_'.length))
  }
})
