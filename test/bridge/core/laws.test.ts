import { expect } from 'chai'
import fc from 'fast-check'
import {
  createUserState,
  nextDeadline,
  resolvePolicy,
  step,
  viewMember,
  viewUser,
  type Effect,
  type Input,
  type UserState,
} from '../../../bridge/core/index.ts'
import type { Json } from '../../../protocol/index.ts'
import { actions, enact, type Expected, type Moment } from './scenario.ts'

const POLICY = resolvePolicy({
  roomGrace: [{ pattern: 'cellar', grace: { closed: 30_000, unload: 0, broker: 1000 } }],
  retainedOfflineMs: 86_400_000,
})

/** When every grace of a scenario is over, and nobody is forgotten yet. */
const LONG = 3_600_000

interface Observed {
  readonly state: UserState
  readonly effects: readonly { readonly at: number; readonly effect: Effect }[]
}

/** What the observer does around every step. */
interface Around {
  /** Looks at a step; returns what to go on with. */
  readonly step?: (
    before: UserState,
    input: Input,
    at: number,
  ) => readonly [UserState, readonly Effect[]]
  /** More inputs at a moment, after its own. */
  readonly extra?: (moment: Moment, index: number) => readonly Input[]
  readonly lateTimers?: boolean
}

function run(moments: readonly Moment[], around: Around = {}): Observed {
  const take = around.step ?? ((state, input, at) => step(state, input, at, POLICY))
  const effects: { at: number; effect: Effect }[] = []
  let state = createUserState('ann')

  function apply(input: Input, at: number): void {
    const [next, caused] = take(state, input, at)
    state = next
    for (const effect of caused) effects.push({ at, effect })
  }

  function runTimers(to: number): void {
    for (let rounds = 0; ; rounds++) {
      const due = nextDeadline(state)
      if (due === null || due > to) return
      if (rounds > 100) throw new Error('a timer that is due changes nothing')
      apply({ type: 'timer' }, Math.max(due, around.lateTimers ? to : due))
    }
  }

  moments.forEach((moment, i) => {
    const { at, input } = moment
    if (!around.lateTimers) runTimers(at)
    apply(input, at)
    for (const more of around.extra?.(moment, i) ?? []) apply(more, at)
  })
  runTimers((moments.at(-1)?.at ?? 0) + LONG)
  return { state, effects }
}

/** Everything that is published, with its time. */
function published({ effects }: Observed): readonly unknown[] {
  return effects.filter(({ effect }) => effect.type !== 'stale')
}

function seen(state: UserState): Expected {
  const { status, connections, data } = viewUser(state)
  const rooms = Object.fromEntries(
    state.memberships.map((membership) => [membership.room, viewMember(state, membership).data]),
  )
  return { status, connections, data, rooms }
}

/** Runs a law on many scenarios. */
function always(law: (moments: readonly Moment[], expected: Expected) => void): void {
  const property = fc.property(actions, (list) => {
    const { moments, expected } = enact(list)
    law(moments, expected)
  })
  fc.assert(property, { numRuns: 600 })
}

describe('laws of the core', () => {
  it('after every deadline, present is what is connected', () => {
    always((moments, expected) => {
      expect(seen(run(moments).state)).to.deep.equal(expected)
    })
  })

  it('the same holds however late the timers are', () => {
    always((moments, expected) => {
      expect(seen(run(moments, { lateTimers: true }).state)).to.deep.equal(expected)
    })
  })

  it('a room sees a join, updates, and at most one leave, again and again, and nothing else', () => {
    always((moments) => {
      const { effects, state } = run(moments)
      const members = new Map<string, Json>()
      for (const { effect } of effects) {
        if (effect.type === 'member') {
          expect(effect.joined, 'joined').to.equal(!members.has(effect.room))
          members.set(effect.room, effect.member as unknown as Json)
        } else if (effect.type === 'leave') {
          expect(members.delete(effect.room), 'a leave has its join').to.equal(true)
        }
      }
      const shown = state.memberships.map((m) => [m.room, viewMember(state, m)] as const)
      expect(Object.fromEntries(members)).to.deep.equal(Object.fromEntries(shown))
    })
  })

  it('the user’s document is published when it changes, and only then', () => {
    always((moments) => {
      run(moments, {
        step(before, input, at) {
          const [after, effects] = step(before, input, at, POLICY)
          const news = (state: UserState): unknown => {
            const { status, connections, data, reason, since } = viewUser(state)
            return { status, connections, data, reason, since }
          }
          const isPublished = effects.some(({ type }) => type === 'user')
          if (isPublished) expect(after.version).to.be.greaterThan(before.version)
          else {
            expect(news(after)).to.deep.equal(news(before))
            expect(after.version).to.equal(before.version)
          }
          if (isPublished) expect(news(after)).not.to.deep.equal(news(before))
          return [after, effects]
        },
      })
    })
  })

  it('a transition is told once for each change between online and offline', () => {
    always((moments) => {
      let online = false
      for (const { effect } of run(moments).effects) {
        if (effect.type !== 'transition') continue
        expect(effect.to).to.equal(online ? 'offline' : 'online')
        online = !online
      }
    })
  })

  it('repeating any input at once changes nothing that anybody sees', () => {
    always((moments) => {
      const twice = run(moments, {
        extra: ({ input }) => (input.type === 'shift' ? [] : [input]),
      })
      expect(published(twice)).to.deep.equal(published(run(moments)))
    })
  })

  it('stale inputs, anywhere, change nothing that anybody sees', () => {
    always((moments) => {
      const disturbed = run(moments, { extra: ({ stale }) => stale })
      expect(published(disturbed)).to.deep.equal(published(run(moments)))
    })
  })

  it('timers that come when nothing is due change nothing, and return the very same state', () => {
    always((moments) => {
      run(moments, {
        step(before, input, at) {
          const outcome = step(before, input, at, POLICY)
          const [state] = outcome
          const due = nextDeadline(state)
          if (due === null || due > at) {
            const [later, effects] = step(state, { type: 'timer' }, at, POLICY)
            expect(later).to.equal(state)
            expect(effects).to.deep.equal([])
          }
          return outcome
        },
      })
    })
  })

  it('a state that went through JSON is the same state', () => {
    always((moments) => {
      run(moments, {
        step(before, input, at) {
          const outcome = step(before, input, at, POLICY)
          const copy = JSON.parse(JSON.stringify(before)) as UserState
          const again = step(copy, input, at, POLICY)
          expect(JSON.stringify(again)).to.equal(JSON.stringify(outcome))
          return outcome
        },
      })
    })
  })

  it('a step never changes what it is given', () => {
    always((moments) => {
      run(moments, {
        step: (before, input, at) => step(freeze(before), freeze(input), at, POLICY),
      })
    })
  })

  it('of a client at most one connection is up', () => {
    always((moments) => {
      run(moments, {
        step(before, input, at) {
          const [state, effects] = step(before, input, at, POLICY)
          const up = state.connections.filter(({ status }) => status === 'up')
          expect(new Set(up.map(({ client }) => client)).size).to.equal(up.length)
          return [state, effects]
        },
      })
    })
  })
})

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) freeze(inner)
  }
  return value
}
