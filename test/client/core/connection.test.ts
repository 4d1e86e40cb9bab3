import { expect } from 'chai'
import fc from 'fast-check'
import {
  deadlineOf,
  publicState,
  RESTING,
  stepConnection,
  type ConnectionPolicy,
  type Machine,
  type MachineInput,
} from '../../../client/core/index.ts'

const POLICY: ConnectionPolicy = {
  baseMs: 1000,
  capMs: 30_000,
  maxTries: Infinity,
  usesToken: false,
  connectTimeoutMs: 10_000,
  tokenTimeoutMs: 30_000,
}

/** An input of the current attempt. */
type Said = MachineInput extends infer I
  ? I extends { attempt: number }
    ? Omit<I, 'attempt'>
    : I
  : never

/** Runs inputs at their times, with the dice at one half; gives the state and what was done, by type. */
function run(inputs: readonly (readonly [number, Said])[], policy = POLICY): [Machine, string[]] {
  const done: string[] = []
  let machine = RESTING
  for (const [now, said] of inputs) {
    const input = { ...said, attempt: machine.attempt } as MachineInput
    const [next, effects] = stepConnection(machine, input, now, policy, 0.5)
    done.push(...effects.map(({ type }) => type))
    machine = next
  }
  return [machine, done]
}

describe('the connection machine', () => {
  it('connects, is online, reconnects after half a second of a second', () => {
    const [up, done] = run([
      [0, { type: 'start' }],
      [50, { type: 'opened' }],
    ])
    expect(done).to.deep.equal(['open'])
    expect(publicState(up).state).to.equal('online')
    const [down] = run([
      [0, { type: 'start' }],
      [50, { type: 'opened' }],
      [9000, { type: 'closed', message: 'gone' }],
    ])
    expect(publicState(down)).to.deep.equal({
      state: 'reconnecting',
      reason: 'network',
      message: 'gone',
      failed: 1,
      retryAt: 9500,
    })
  })

  it('asks for a token before every attempt', () => {
    const policy = { ...POLICY, usesToken: true }
    const [machine, done] = run(
      [
        [0, { type: 'start' }],
        [10, { type: 'unauthorized', message: 'logged out' }],
        [510, { type: 'timer' }],
        [520, { type: 'authorized' }],
        [600, { type: 'opened' }],
      ],
      policy,
    )
    expect(done).to.deep.equal(['authorize', 'authorize', 'open'])
    expect(publicState(machine).state).to.equal('online')
  })

  it('gives up an attempt that takes too long', () => {
    const [machine, done] = run([
      [0, { type: 'start' }],
      [9999, { type: 'timer' }],
      [10_000, { type: 'timer' }],
    ])
    expect(done).to.deep.equal(['open', 'abandon'])
    expect(publicState(machine)).to.include({ state: 'connecting', reason: 'network', failed: 1 })
  })

  it('stops for a refusal that would come again, and tries again after any other', () => {
    for (const code of [1, 2, 4, 5, 0x86, 0x87]) {
      const [machine] = run([
        [0, { type: 'start' }],
        [10, { type: 'refused', code }],
      ])
      expect(publicState(machine)).to.include({ state: 'stopped', reason: 'refused' })
    }
    for (const code of [3, 0x88, 0x89, 0x97]) {
      const [machine] = run([
        [0, { type: 'start' }],
        [10, { type: 'refused', code }],
      ])
      expect(publicState(machine)).to.include({ state: 'connecting', reason: 'refused' })
    }
  })

  it('asks for another token when one was refused that has expired, or the connection ended for it', () => {
    const policy = { ...POLICY, usesToken: true }
    const up: [number, Said][] = [
      [0, { type: 'start' }],
      [10, { type: 'authorized' }],
    ]
    for (const said of [
      { type: 'refused', code: 5, tokenExpired: true },
      { type: 'refused', code: 0x87, tokenExpired: true },
      { type: 'closed', message: 'over', tokenExpired: true },
    ] as const) {
      const [machine, done] = run([...up, [20, said], [520, { type: 'timer' }]], policy)
      expect(done).to.deep.equal(['authorize', 'open', 'authorize'])
      expect(publicState(machine)).to.include({ state: 'connecting', reason: 'token', failed: 1 })
    }
    const [banned] = run([...up, [20, { type: 'refused', code: 0x8a, tokenExpired: true }]], policy)
    expect(publicState(banned)).to.include({ state: 'stopped', reason: 'refused' })
  })

  it('stops after its last try', () => {
    const fails: [number, Said][] = [1, 2, 3].flatMap((i) => [
      [i * 100_000, { type: 'closed', message: 'no' }],
      [i * 100_000 + 50_000, { type: 'timer' }],
    ])
    const [machine] = run([[0, { type: 'start' }], ...fails], { ...POLICY, maxTries: 3 })
    expect(publicState(machine)).to.include({ state: 'stopped', reason: 'tries', failed: 3 })
  })

  it('waits longer and longer for a broker that takes it and drops it', () => {
    const flap: [number, Said][] = [1, 2, 3, 4].flatMap((i) => [
      [i * 100_000, { type: 'opened' }],
      [i * 100_000 + 100, { type: 'closed', message: 'no' }],
      [i * 100_000 + 50_000, { type: 'timer' }],
    ])
    expect(run([[0, { type: 'start' }], ...flap])[0].failed).to.equal(4)
  })

  it('is woken only when it waits, and at most once a second', () => {
    const waiting: [number, Said][] = [
      [0, { type: 'start' }],
      [10, { type: 'closed', message: 'no' }],
    ]
    expect(run([...waiting, [20, { type: 'wake' }]])[1]).to.deep.equal(['open'])
    expect(run([...waiting, [1000, { type: 'wake' }]])[1]).to.deep.equal(['open', 'open'])
    expect(
      run([
        [0, { type: 'start' }],
        [5000, { type: 'wake' }],
      ])[1],
    ).to.deep.equal(['open'])
  })

  it('says offline without a network, and tries at once when that is back', () => {
    const waiting: [number, Said][] = [
      [0, { type: 'start' }],
      [1, { type: 'network', up: false }],
      [10, { type: 'closed', message: 'no' }],
    ]
    expect(publicState(run(waiting)[0])).to.include({ state: 'offline', reason: 'network' })
    expect(run([...waiting, [20, { type: 'network', up: true }]])[1]).to.deep.equal([
      'open',
      'open',
    ])
  })

  it('ignores what comes of an attempt that is over, and everything once it has stopped', () => {
    const [machine] = run([
      [0, { type: 'start' }],
      [10, { type: 'opened' }],
    ])
    const late = { type: 'closed', attempt: machine.attempt - 1, message: 'late' } as const
    expect(stepConnection(machine, late, 20, POLICY, 0)).to.deep.equal([machine, []])
    fc.assert(
      fc.property(anyInput, (input) => {
        const [stopped] = run([[0, { type: 'stop', failure: { reason: 'left', message: '' } }]])
        expect(stepConnection(stopped, input, 10, POLICY, 0.5)).to.deep.equal([stopped, []])
      }),
    )
  })

  it('is total, and always has something to wait for unless it is up, resting or stopped', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20_000), anyInput)), (inputs) => {
        let now = 0
        let machine = RESTING
        for (const [later, input] of inputs) {
          now += later
          machine = stepConnection(machine, input, now, POLICY, 0.5)[0]
          const waits = ['opening', 'waiting', 'authorizing'].includes(machine.phase.status)
          expect(deadlineOf(machine) !== null).to.equal(waits)
        }
      }),
    )
  })
})

const attempt = fc.integer({ min: 0, max: 5 })
const anyInput: fc.Arbitrary<MachineInput> = fc.oneof(
  fc.constantFrom<MachineInput>(
    { type: 'start' },
    { type: 'timer' },
    { type: 'wake' },
    { type: 'rest' },
  ),
  fc.boolean().map((up): MachineInput => ({ type: 'network', up })),
  attempt.map((n): MachineInput => ({ type: 'opened', attempt: n })),
  attempt.map((n): MachineInput => ({ type: 'authorized', attempt: n })),
  attempt.map((n): MachineInput => ({ type: 'closed', attempt: n, message: 'x' })),
  fc
    .tuple(attempt, fc.constantFrom(3, 5))
    .map(([n, code]): MachineInput => ({ type: 'refused', attempt: n, code })),
)
