import { expect } from 'chai'
import { DEFAULT_LIMITS, resolveLimits } from '../../../broker/limits/limits.ts'
import { createHoldback } from '../../../broker/limits/holdback.ts'
import { createRates } from '../../../broker/limits/rate.ts'
import { createSessions } from '../../../broker/limits/sessions.ts'
import { createSockets, groupOf } from '../../../broker/limits/sockets.ts'
import { createTally } from '../../../broker/limits/tally.ts'
import type { Clock } from '../../../runtime/clock.ts'

function manualClock(): Clock & { advance(ms: number): void } {
  let now = 1_000_000
  let timers: { readonly at: number; readonly run: () => void }[] = []
  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => (timers = timers.filter((other) => other !== timer))
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
        if (!next) break
        timers = timers.filter((other) => other !== next)
        now = Math.max(now, next.at)
        next.run()
      }
      now = end
    },
  }
}

describe('a rate', () => {
  const policy = { perSecond: 10, burstSeconds: 1, patienceSeconds: 2 }

  it('lets a burst through, holds back what follows, and calls the rest a flood', () => {
    const rates = createRates(policy)
    const waits = Array.from({ length: 32 }, () => rates.take('a', 0))
    expect(waits.slice(0, 10)).to.deep.equal(Array(10).fill(0))
    expect(waits.slice(10, 13)).to.deep.equal([100, 200, 300])
    expect(waits.slice(29)).to.deep.equal([2000, undefined, undefined])
  })

  it('does not count a flood, and is paid off with time', () => {
    const rates = createRates(policy)
    for (let n = 0; n < 100; n++) rates.take('a', 0)
    expect(rates.take('a', 100)).to.equal(2000)
    expect(rates.take('a', 10_000)).to.equal(0)
  })

  it('is everybody’s own, and forgotten when it is paid off', () => {
    const rates = createRates(policy)
    for (let n = 0; n < 30; n++) rates.take('a', 20_000)
    expect(rates.take('b', 20_000)).to.equal(0)
    expect(rates.size).to.equal(2)
    rates.take('c', 60_000)
    expect(rates.size).to.equal(1)
  })

  it('takes what was done into account, and gives back what was not', () => {
    const rates = createRates(policy)
    rates.charge('a', 0, 15)
    expect(rates.take('a', 0)).to.equal(600)
    rates.giveBack('a', 10)
    expect(rates.take('a', 0)).to.equal(0)
  })

  it('does not run backwards with the clock', () => {
    const rates = createRates(policy)
    for (let n = 0; n < 10; n++) rates.take('a', 5000)
    expect(rates.take('a', 4000)).to.equal(1100)
  })
})

describe('who is held back', () => {
  it('keeps the order of what it does', () => {
    const clock = manualClock()
    const holdback = createHoldback(clock)
    const done: number[] = []
    holdback.run(0, () => done.push(1))
    holdback.run(100, () => done.push(2))
    holdback.run(0, () => done.push(3))
    expect(done).to.deep.equal([1])
    clock.advance(99)
    expect(done).to.deep.equal([1])
    clock.advance(1)
    expect(done).to.deep.equal([1, 2, 3])
  })

  it('is forgotten when it has gone', () => {
    const clock = manualClock()
    const holdback = createHoldback(clock)
    holdback.run(100, () => expect.fail('expected nothing'))
    holdback.clear()
    clock.advance(1000)
  })
})

describe('sockets', () => {
  const limits = {
    ...DEFAULT_LIMITS,
    maxConnections: 5,
    maxConnectionsPerAddress: 2,
    maxConnectsPerSecond: 1,
  }

  it('are counted by address and in all, and counted out', () => {
    const sockets = createSockets({ ...limits, maxConnectsPerSecond: 1000 }, manualClock())
    expect([sockets.enter('10.0.0.1'), sockets.enter('::ffff:10.0.0.1')]).to.deep.equal([
      undefined,
      undefined,
    ])
    expect(sockets.enter('10.0.0.1')).to.equal('connections_per_address')
    sockets.leave('10.0.0.1')
    expect(sockets.enter('10.0.0.1')).to.equal(undefined)
    for (const address of ['10.0.0.2', '10.0.0.3', '127.0.0.1']) {
      expect(sockets.enter(address)).to.equal(undefined)
    }
    expect(sockets.enter('10.0.0.4')).to.equal('connections')
    expect(sockets.refused).to.deep.equal({
      connections: 1,
      connections_per_address: 1,
      connects_per_second: 0,
    })
  })

  it('come no faster than the rate from one address', () => {
    const clock = manualClock()
    const sockets = createSockets(limits, clock)
    const tries = Array.from({ length: 12 }, () => {
      const refusal = sockets.enter('10.0.0.1')
      if (!refusal) sockets.leave('10.0.0.1')
      return refusal
    })
    expect(tries.filter((refusal) => refusal === undefined)).to.have.length(10)
    expect(tries.at(-1)).to.equal('connects_per_second')
    expect(sockets.enter('10.0.0.2')).to.equal(undefined)
    clock.advance(1000)
    expect(sockets.enter('10.0.0.1')).to.equal(undefined)
  })

  const groups: readonly [address: string, group: string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['127.8.9.10', undefined],
    ['::1', undefined],
    ['2001:db8:0:1::5', '2001:db8:0:1'],
    ['2001:db8:0:1:aaaa:bbbb:cccc:dddd', '2001:db8:0:1'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ]
  for (const [address, group] of groups) {
    it(`of ${address} are counted under ${group ?? 'nothing: it is this machine'}`, () => {
      expect(groupOf(address)).to.equal(group)
    })
  }
})

describe('client ids and sessions', () => {
  function sessions(limits = {}) {
    const clock = manualClock()
    const wiped: string[] = []
    const book = createSessions({
      clock,
      maxSessions: 3,
      maxSessionsPerUser: 2,
      sessionExpiryMs: 10_000,
      wipe: (clientId) => wiped.push(clientId),
      ...limits,
    })
    /** A session of a client that has gone. */
    const keep = (clientId: string, user: string, expiresInMs = Infinity): void => {
      book.claim(clientId, user)
      book.release(clientId, user, true, expiresInMs)
    }
    return { clock, wiped, book, keep }
  }

  it('belong to whoever is connected', () => {
    const { book, wiped } = sessions()
    expect(book.claim('c', 'alice')).to.equal(true)
    expect(book.claim('c', 'mallory')).to.equal(false)
    expect(book.claim('c', 'alice')).to.equal(true)
    book.release('c', 'alice', false, 0)
    expect(book.claim('c', 'mallory')).to.equal(false)
    book.release('c', 'alice', false, 0)
    expect(wiped).to.deep.equal(['c'])
    expect(book.claim('c', 'mallory')).to.equal(true)
  })

  it('belong to whoever has left a session', () => {
    const { book, keep } = sessions()
    keep('c', 'alice')
    expect(book.claim('c', 'mallory')).to.equal(false)
    expect(book.absent).to.equal(1)
    expect(book.claim('c', 'alice')).to.equal(true)
    expect(book.absent).to.equal(0)
  })

  it('of a user give way to its newer ones', () => {
    const { book, keep, wiped } = sessions()
    for (const clientId of ['a1', 'a2', 'a3']) keep(clientId, 'alice')
    expect(wiped).to.deep.equal(['a1'])
    expect([book.absent, book.dropped]).to.deep.equal([2, 1])
  })

  it('of others stay when there are too many in all', () => {
    const { book, keep, wiped } = sessions()
    for (const user of ['a', 'b', 'c', 'd']) keep(user, user)
    expect(wiped).to.deep.equal(['d'])
    expect(book.absent).to.equal(3)
  })

  it('are not kept for longer than they asked, or than is allowed', () => {
    const { book, keep, wiped, clock } = sessions()
    keep('a', 'a', 5000)
    keep('b', 'b')
    clock.advance(5000)
    book.sweep()
    expect(wiped).to.deep.equal(['a'])
    clock.advance(5000)
    book.sweep()
    expect(wiped).to.deep.equal(['a', 'b'])
    expect(book.absent).to.equal(0)
  })
})

describe('a tally', () => {
  it('counts by owner', () => {
    const tally = createTally<object>()
    const [one, other] = [{}, {}]
    tally.add(one, 'a')
    tally.add(other, 'a')
    expect(tally.count('a')).to.equal(2)
    expect([tally.remove(one), tally.remove(one)]).to.deep.equal([true, false])
    expect(tally.count('a')).to.equal(1)
  })
})

describe('limits', () => {
  it('have defaults, and are checked', () => {
    expect(resolveLimits({ maxSessions: 1 })).to.deep.equal({ ...DEFAULT_LIMITS, maxSessions: 1 })
    expect(() => resolveLimits({ maxSessions: -1 })).to.throw(RangeError, 'limits.maxSessions')
    expect(() => resolveLimits({ maxMessagesPerSecond: 0 })).to.throw(RangeError)
    expect(() => resolveLimits({ maxConnections: Number.NaN })).to.throw(RangeError)
  })
})
