import { expect } from 'chai'
import { backoffDelay, type FromEngine, type SessionOptions } from '../../client/core/index.ts'
import { createSession } from '../../client/engine/session.ts'
import { startProgram } from '../helpers/process.ts'
import { createRandom } from '../helpers/random.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'
import { startSite } from './site.ts'

const CLIENTS = Number(process.env['CLIENT_BURST'] ?? 200)

const OPTIONS: Omit<SessionOptions, 'url' | 'user'> = {
  root: 'presence',
  keepaliveS: 10,
  protocolVersion: 4,
  foreign: false,
  usesToken: false,
  connectTimeoutMs: 10_000,
  tokenTimeoutMs: 30_000,
  baseMs: 1000,
  capMs: 15_000,
  maxTries: Infinity,
  settleMs: 5000,
  awayHiddenMs: null,
  awayIdleMs: null,
  grace: null,
}

describe('many clients that lose their broker together', function () {
  this.timeout(120_000)

  for (const goneMs of [0, 5000, 30_000]) {
    it(`come back spread out when it is gone for ${goneMs / 1000} s (1,000 of them, simulated)`, () => {
      const dice = createRandom(goneMs + 1)
      const arrivals = Array.from({ length: 1000 }, () => {
        let at = 0
        for (let attempt = 1; ; attempt++) {
          at += backoffDelay(attempt, dice.next(), OPTIONS)
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
    const online = new Map<number, number>()
    for (let i = 0; i < CLIENTS; i++) {
      const url = `${site.origin.replace('http', 'ws')}/mqtt`
      const options = { ...OPTIONS, url, user: `user-${i}` }
      const world = {
        now: () => Date.now(),
        random: () => Math.random(),
        after(ms: number, callback: () => void) {
          const timer = setTimeout(callback, ms)
          return () => clearTimeout(timer)
        },
      }
      const session = createSession({ options, isPunctual: true, world })
      const port = {
        send(message: FromEngine) {
          if (message.type !== 'state') return
          if (message.state.state === 'online') online.set(i, performance.now())
          else online.delete(i)
        },
      }
      const wants = { status: 'auto', rooms: {}, watched: [], users: [], filters: [] } as const
      session.open(port, { type: 'open', options, lock: null, wants, visible: true, network: true })
      onTeardown(() => session.receive(port, { type: 'leave', id: 0 }))
    }
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
