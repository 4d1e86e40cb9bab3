import { expect } from 'chai'
import { backoffDelay } from '../../client/core/index.ts'
import { startProgram } from '../helpers/process.ts'
import { createRandom } from '../helpers/random.ts'
import { eventually } from '../helpers/within.ts'
import { CROWD_OPTIONS, startCrowd } from './crowd.ts'
import { startSite } from './site.ts'

const CLIENTS = Number(process.env['CLIENT_BURST'] ?? 200)

describe('many clients that lose their broker together', function () {
  this.timeout(120_000)

  for (const goneMs of [0, 5000, 30_000]) {
    it(`come back spread out when it is gone for ${goneMs / 1000} s (1,000 of them, simulated)`, () => {
      const dice = createRandom(goneMs + 1)
      const arrivals = Array.from({ length: 1000 }, () => {
        let at = 0
        for (let attempt = 1; ; attempt++) {
          at += backoffDelay(attempt, dice.next(), CROWD_OPTIONS)
          if (at >= goneMs) return at - goneMs
        }
      })
      // Nowhere do more come within 100 ms than a third above what the first second's even spread gives.
      expect(busiest(arrivals, 100)).to.be.at.most(135)
      if (goneMs > 0) expect(spread(arrivals)).to.be.above(1000)
    })
  }

  it(`come back spread out, and all of them (${CLIENTS}, over real sockets)`, async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const { online } = startCrowd(`${site.origin.replace('http', 'ws')}/mqtt`, CLIENTS)
    await eventually('all are online', () => online.size === CLIENTS, 30_000)
    site.setNetwork(false)
    await eventually('none is', () => online.size === 0)
    await new Promise((resolve) => setTimeout(resolve, 5000))
    const back = performance.now()
    site.setNetwork(true)
    await eventually('all are online again', () => online.size === CLIENTS, 40_000)
    const arrivals = [...online.values()].map((at) => at - back)
    const all = { last: Math.round(Math.max(...arrivals)), busiest: busiest(arrivals, 100) }
    console.log(`        ${CLIENTS} clients: ${JSON.stringify(all)} (busiest 100 ms, last in ms)`)
    expect(all.busiest).to.be.below(CLIENTS / 4)
  })
})

/** The most that arrive within one window of so many milliseconds. */
function busiest(arrivals: readonly number[], windowMs: number): number {
  const counts = new Map<number, number>()
  for (const at of arrivals) {
    const slot = Math.floor(at / windowMs)
    counts.set(slot, (counts.get(slot) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

/** How long it takes from the first tenth to the last. */
function spread(arrivals: readonly number[]): number {
  const sorted = arrivals.toSorted((a, b) => a - b)
  return (
    (sorted[Math.floor(sorted.length * 0.9)] ?? 0) - (sorted[Math.floor(sorted.length * 0.1)] ?? 0)
  )
}
