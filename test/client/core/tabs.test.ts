import { expect } from 'chai'
import {
  awayAt,
  isAway,
  mergeTabs,
  openTab,
  seeTab,
  tellWants,
  type Tab,
  type Wants,
} from '../../../client/core/index.ts'

const POLICY = { awayHiddenMs: 60_000, awayIdleMs: 300_000 }

function wants(rooms: Wants['rooms'] = {}, more: Partial<Wants> = {}): Wants {
  return { status: 'auto', rooms, watched: [], users: [], filters: [], ...more }
}

describe('tabs of one connection', () => {
  it('are in the rooms of all, with the newest data of each', () => {
    const one = openTab(wants({ lobby: 1, a: 1 }, { data: 'one' }), true, 1, 0)
    const two = openTab(wants({ lobby: 2 }, { data: 'two' }), true, 2, 0)
    expect(merged(one, two)).to.deep.equal([{ lobby: 2, a: 1 }, 'two'])
    // What is said again is no news; what is new is newer than what anybody said before.
    const same = tellWants(one, wants({ lobby: 1, a: 1, b: 1 }, { data: 'one' }), 3)
    expect(merged(same, two)).to.deep.equal([{ lobby: 2, a: 1, b: 1 }, 'two'])
    expect(merged(tellWants(one, wants({ lobby: 3 }), 3), two)).to.deep.equal([{ lobby: 3 }, 'two'])
    expect(merged(one)).to.deep.equal([{ lobby: 1, a: 1 }, 'one'])
  })

  it('are away when each of them is', () => {
    const seen = openTab(wants(), true, 1, 0)
    const hidden = openTab(wants(), false, 2, 0)
    expect(isAway(hidden, 59_999, POLICY)).to.equal(false)
    expect(isAway(hidden, 60_000, POLICY)).to.equal(true)
    expect(mergeTabs([seen, hidden], 60_000, POLICY).status).to.equal('online')
    expect(mergeTabs([seen, hidden], 300_000, POLICY).status).to.equal('away')
    expect(mergeTabs([seeTab(seen, true, 299_000), hidden], 300_000, POLICY).status).to.equal(
      'online',
    )
  })

  it('are what they say they are, if they say so', () => {
    expect(isAway(openTab(wants({}, { status: 'online' }), false, 1, 0), 1e9, POLICY)).to.equal(
      false,
    )
    expect(isAway(openTab(wants({}, { status: 'away' }), true, 1, 0), 0, POLICY)).to.equal(true)
  })

  it('are hidden since they were hidden first', () => {
    const hidden = seeTab(seeTab(openTab(wants(), true, 1, 0), false, 1000), false, 2000)
    expect(awayAt(hidden, POLICY)).to.equal(61_000)
    expect(awayAt(hidden, { awayHiddenMs: null, awayIdleMs: null })).to.equal(Infinity)
  })
})

function merged(...tabs: Tab[]): unknown {
  const { rooms, data } = mergeTabs(tabs, 0, POLICY)
  return [Object.fromEntries(rooms), data]
}
