import { expect } from 'chai'
import {
  createUserState,
  resolvePolicy,
  step,
  type DocumentInput,
  type Input,
} from '../../../bridge/core/index.ts'
import { createLateEnds, type LateEnds } from '../../../bridge/sharing/late-ends.ts'
import type { ConnectionDocument } from '../../../protocol/index.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'

const POLICY = resolvePolicy({})

function say(document: ConnectionDocument): DocumentInput {
  return { type: 'document', client: 'tab', document }
}

function inRooms(...rooms: readonly string[]): ConnectionDocument {
  const named = new Map(rooms.map((room) => [room, null]))
  return { status: 'online', connection: 'c', broker: 'b', stamp: 1, rooms: named }
}

describe('an end that may be heard before an arrival', () => {
  let clock: ManualClock
  let ends: LateEnds
  let isAsking = true
  let releases = 0
  beforeEach(() => {
    clock = new ManualClock()
    isAsking = true
    releases = 0
    ends = createLateEnds({ clock, isAsking: () => isAsking, onRelease: () => void releases++ })
  })

  it('waits if a broker of ours has stamped it; nothing else does', () => {
    const end = say({ status: 'offline', connection: 'c', broker: 'b', stamp: 1 })
    expect(ends.holds(end)).to.equal(false)
    ends.hold(clock.now())
    const inputs: Input[] = [
      end,
      say({ status: 'offline', connection: 'c' }),
      say({ status: 'online', connection: 'c', broker: 'b', stamp: 1 }),
      { type: 'timer' },
      { type: 'census', broker: 'b', alive: new Set() },
    ]
    expect(inputs.map((input) => ends.holds(input))).to.deep.equal([
      true,
      false,
      false,
      false,
      false,
    ])
  })

  it('waits if it is of a stay in a room: the client names others now', () => {
    const [state] = step(createUserState('alice'), say(inRooms('den', 'attic')), 0, POLICY)
    const { connections } = state
    const holds = (input: Input): boolean => ends.holds(input, connections)
    expect(holds(say(inRooms('den')))).to.equal(false)
    ends.hold(clock.now())
    expect(holds(say(inRooms('den')))).to.equal(true)
    expect(holds(say(inRooms()))).to.equal(true)
    expect(holds(say({ ...inRooms('den'), connection: 'later' }))).to.equal(true)
    expect(holds(say(inRooms('den', 'attic', 'lobby')))).to.equal(false)
    expect(holds(say({ status: 'away', connection: 'c', broker: 'b', stamp: 2 }))).to.equal(false)
    expect(holds({ ...say(inRooms('den')), client: 'phone' })).to.equal(false)
  })

  for (const { title, answeredAt, held } of [
    { title: 'until the roll is answered', answeredAt: 1000, held: 1000 },
    { title: 'for 500 ms at least: other bridges have arrivals, too', answeredAt: 0, held: 500 },
    { title: 'for 3 s at most', answeredAt: 9000, held: 3000 },
  ]) {
    it(`waits ${title}`, async () => {
      ends.hold(clock.now())
      await clock.advance(10_000)
      ends.called()
      clock.after(answeredAt, () => (isAsking = false))
      const since = clock.now()
      let releasedAt: number | undefined
      void ends.released().then(() => (releasedAt = clock.now()))
      await clock.advance(10_000)
      expect((releasedAt ?? 0) - since).to.be.within(held, held + 50)
      expect([ends.held, releases, clock.pending]).to.deep.equal([false, 1, 0])
    })
  }

  it('waits anew when something else is missed meanwhile', async () => {
    ends.hold(clock.now())
    ends.called()
    ends.hold(clock.now())
    await clock.advance(10_000)
    expect(ends.held).to.equal(true)
    ends.called()
    await clock.advance(3000)
    expect(ends.held).to.equal(false)
  })
})
