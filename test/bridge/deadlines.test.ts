import { expect } from 'chai'
import { createDeadlines, type Deadlines } from '../../bridge/deadlines.ts'
import type { Store } from '../../bridge/index.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

describe('deadlines', () => {
  let clock: ManualClock
  let stored: Map<string, number>
  let deadlines: Deadlines
  let acted: string[]
  let mayAct: boolean
  /** How long acting takes before the store knows of it. */
  let act: (user: string) => void

  beforeEach(() => {
    clock = new ManualClock(0)
    stored = new Map()
    acted = []
    mayAct = true
    act = (user) => void stored.delete(user)
  })
  afterEach(() => deadlines.close())

  function start(othersAfterMs?: number): void {
    const store: Pick<Store, 'dueUsers' | 'nextDeadline'> = {
      dueUsers: async (now, limit) =>
        [...stored].flatMap(([user, at]) => (at <= now ? [user] : [])).slice(0, limit),
      nextDeadline: async () => (stored.size === 0 ? null : Math.min(...stored.values())),
    }
    deadlines = createDeadlines({
      store: store as Store,
      clock,
      checkStall: () => {},
      mayAct: () => mayAct,
      pollMs: 1000,
      ...(othersAfterMs !== undefined && { othersAfterMs }),
      async onDue(user) {
        acted.push(`${clock.now()} ${user}`)
        act(user)
      },
      onError: (error) => acted.push(String(error)),
    })
    deadlines.pause()
    deadlines.resume()
  }

  /** This bridge sets a deadline. */
  function set(user: string, at: number): void {
    stored.set(user, at)
    deadlines.notice(user, at)
  }

  it('are acted on in time, whoever has set them, where all bridges hear the same', async () => {
    start()
    set('mine', 1500)
    stored.set('other', 1800)
    await clock.advance(5000)
    expect(acted).to.deep.equal(['1500 mine', '1800 other'])
  })

  it('of others are acted on later, where each has a broker of its own', async () => {
    start(1200)
    set('mine', 1500)
    stored.set('other', 1400)
    stored.set('handled', 1450)
    await clock.advance(2000)
    stored.delete('handled')
    await clock.advance(5000)
    expect(acted).to.deep.equal(['1500 mine', '2600 other'])
  })

  it('do not wait for those of others', async () => {
    start(1200)
    for (let i = 0; i < 200; i++) stored.set(`other-${i}`, 900)
    set('mine', 1000)
    set('late', 1900)
    await clock.advance(2000)
    expect(acted).to.deep.equal(['1000 mine', '1900 late'])
  })

  it('that are set anew, or taken back, are not acted on before', async () => {
    start(1200)
    set('moved', 1000)
    set('moved', 3000)
    set('gone', 2000)
    stored.delete('gone')
    deadlines.notice('gone', null)
    await clock.advance(5000)
    expect(acted).to.deep.equal(['3000 moved'])
  })

  it('are set again by acting on them', async () => {
    start(1200)
    set('held', 1000)
    act = (user) => {
      if (acted.length < 3) set(user, clock.now() + 500)
      else stored.delete(user)
    }
    await clock.advance(5000)
    expect(acted).to.deep.equal(['1000 held', '1500 held', '2000 held'])
  })

  it('wait while nobody may act', async () => {
    start(1200)
    set('mine', 1000)
    mayAct = false
    await clock.advance(3000)
    expect(acted).to.deep.equal([])
    mayAct = true
    deadlines.look()
    await clock.advance(1)
    expect(acted).to.deep.equal(['3000 mine'])
  })
})
