import { expect } from 'chai'
import {
  connectionKey,
  createUserState,
  nextDeadline,
  resolvePolicy,
  step,
  viewMember,
  viewUser,
  type Input,
} from '../../../bridge/core/index.ts'
import type { UserDocument } from '../../../protocol/index.ts'
import { document, ended, itPlays, online, play, START, unload, type Row } from './script.ts'

/** A census: what was not announced is lost. */
function census(broker: string | null, ...alive: readonly (readonly [string, string?])[]): Input {
  return {
    type: 'census',
    broker,
    alive: new Set(alive.map(([client, id]) => connectionKey(client, id))),
  }
}

function shift(seconds: number): Input {
  return { type: 'shift', byMs: seconds * 1000 }
}

const SHOWN: UserDocument = {
  user: 'ann',
  status: 'online',
  since: new Date(START - 60_000).toISOString(),
  lastSeen: new Date(START - 5000).toISOString(),
  reason: null,
  connections: 2,
  data: 'hello',
  version: START - 30_000,
}

const SINCE = new Date(START - 50_000).toISOString()

function restore(shown: Partial<UserDocument> = {}): Input {
  const member = { user: 'ann', status: 'online', since: SINCE, data: 7 } as const
  const rooms = shown.status === 'offline' ? [] : [{ room: 'lobby', member }]
  return { type: 'restore', shown: { ...SHOWN, ...shown }, rooms }
}

const SHORT = resolvePolicy({ retainedOfflineMs: 600_000, maxConnectionsPerUser: 2 })

describe('the observer’s own faults', () => {
  describe('a census', () =>
    itPlays([
      {
        fact: 'what its broker did not announce is lost, with the grace of the broker’s end',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, census('b1')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '25 user offline broker',
          '25 lobby: left broker',
        ],
      },
      {
        fact: 'what was announced, and what other brokers announced, stays',
        rows: [
          [0, online('tab', 'c1')],
          [0, online('phone', 'c2', { broker: 'b2' })],
          [0, document('lamp', { status: 'online' })],
          [10, census('b1', ['tab', 'c1'])],
        ],
        lines: ['0 user online ×1', '0 user online ×2', '0 user online ×3'],
      },
      {
        fact: 'an announcement without a connection id speaks for the client’s connection',
        rows: [
          [0, document('lamp', { connection: 'c1' })],
          [10, census(null, ['lamp'])],
        ],
        lines: ['0 user online ×1'],
      },
      {
        fact: 'another connection of the client does not speak for the lost one',
        rows: [
          [0, document('lamp', { connection: 'c1' })],
          [10, census(null, ['lamp', 'c0'])],
        ],
        lines: ['0 user online ×1', '25 user offline broker'],
      },
      {
        fact: 'what is lost and announces itself within the grace never blinked',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, census('b1')],
          [24, online('tab', 'c1', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'what is lost may come back even after the grace: its broker may have been unreachable',
        rows: [
          [0, online('tab', 'c1')],
          [10, census('b1')],
          [60, online('tab', 'c1')],
        ],
        lines: ['0 user online ×1', '25 user offline broker', '60 user online ×1'],
      },
      {
        fact: 'what had ended before keeps its cause and its deadline',
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'closed')],
          [11, census('b1')],
        ],
        lines: ['0 user online ×1', '15 user offline closed'],
      },
    ]))

  it('lastSeen of a lost connection is not the time of the census', () => {
    const { state } = play([
      [0, online('tab', 'c1')],
      [10, census('b1')],
    ])
    expect(viewUser(state).lastSeen).to.equal(new Date(START).toISOString())
  })

  it('a leave is not before its join, whose clock is another', () => {
    const { effects } = play([
      [0, online('tab', 'c1', { rooms: ['lobby'] })],
      [0, ended('tab', 'c1', 'left', { lastSeen: START - 1 })],
    ])
    const leaves = effects.flatMap(({ effect }) => (effect.type === 'leave' ? [effect.leave] : []))
    const at = new Date(START).toISOString()
    expect(leaves).to.deep.equal([{ user: 'ann', reason: 'left', since: at, lastSeen: at }])
  })

  describe('a shift', () =>
    itPlays([
      {
        fact: 'moves the deadlines of the user and its rooms by the time in which nobody was heard',
        policy: resolvePolicy({ roomGrace: [{ pattern: 'attic', grace: { closed: 9000 } }] }),
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby', 'attic'] })],
          [10, ended('tab', 'c1', 'closed')],
          [12, shift(100)],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '0 attic: joined',
          '115 lobby: left closed',
          '119 user offline closed',
          '119 attic: left closed',
        ],
      },
      {
        fact: 'saves whom a deadline had passed while the observer was deaf',
        lateTimers: true,
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'closed')],
          [70, shift(60)],
          [71, online('tab', 'c2')],
        ],
        lines: ['0 user online ×1'],
      },
      {
        fact: 'leaves who is there alone',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [12, shift(100)],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
    ]))

  it('a shift of what has no grace to move returns the very same state', () => {
    const histories: Row[][] = [[], [[0, online('tab', 'c1')]], [[0, ended('tab', 'c1', 'left')]]]
    for (const rows of histories) {
      const { state } = play(rows, { until: 0 })
      expect(step(state, shift(5), START, SHORT)[0]).to.equal(state)
    }
  })

  it('a document ends nothing whose time was up when nobody could act on it', () => {
    const policy = resolvePolicy()
    const at = (second: number): number => START + 1000 * second
    const inLobby = online('tab', 'c1', { rooms: ['lobby'] })
    const [here] = step(createUserState('ann'), inLobby, START, policy)
    const [held] = step(here, ended('tab', 'c1', 'closed'), at(1), policy)
    const deadline = nextDeadline(held) ?? 0
    const phone = { ...online('phone', 'd1', { rooms: ['den'] }), countUntil: at(2) } as Input
    const [state, effects] = step(held, phone, deadline + 1000, policy)
    expect(effects.map(({ type }) => type)).to.not.include('leave')
    expect(state.memberships.map(({ room }) => room)).to.have.members(['lobby', 'den'])
    const [, later] = step(state, { type: 'timer' }, deadline + 1000, policy)
    expect(later.filter(({ type }) => type === 'leave')).to.have.length(1)
  })

  describe('a restoration from what others were last shown', () =>
    itPlays([
      {
        fact: 'is silent, and who comes back stays',
        rows: [
          [0, restore()],
          [1, online('tab', 'c1', { rooms: { lobby: 7 }, data: 'hello' })],
          [2, online('phone', 'c2', { rooms: { lobby: 7 }, data: 'hello' })],
        ],
        lines: [],
      },
      {
        fact: 'ends with the grace of a broker’s end when nobody comes back',
        rows: [[0, restore()]],
        lines: ['15 user offline broker', '15 lobby: left broker'],
      },
      {
        fact: 'ends when whoever is there has announced itself',
        rows: [
          [0, restore()],
          [1, online('tab', 'c1', { data: 'hello' })],
          [3, { type: 'announced' }],
        ],
        lines: ['3 user online ×1 "hello"', '3 lobby: left broker'],
      },
      {
        fact: 'ends the user, too, when nobody has',
        rows: [
          [0, restore()],
          [3, { type: 'announced' }],
        ],
        lines: ['3 user offline broker', '3 lobby: left broker'],
      },
      {
        fact: 'ends for the reason that was heard meanwhile',
        rows: [
          [0, restore()],
          [1, ended('tab', 'c1', 'closed', { lastSeen: START - 5950 })],
          [2, ended('phone', 'c2', 'left', { lastSeen: START - 5900 })],
          [3, { type: 'announced' }],
        ],
        lines: ['1 stale unknown', '2 stale unknown', '3 user offline left', '3 lobby: left left'],
      },
      {
        fact: 'but not for one that is older than what others were shown, nor sooner than without it',
        rows: [
          [0, restore()],
          [1, ended('tab', 'c1', 'left', { lastSeen: START - 6001 })],
        ],
        lines: ['1 stale unknown', '15 user offline broker', '15 lobby: left broker'],
      },
      {
        fact: 'is not ended twice',
        rows: [
          [0, online('tab', 'c1')],
          [1, { type: 'announced' }],
        ],
        lines: ['0 user online ×1'],
      },
      {
        fact: 'shows what has changed meanwhile: at once what is new, after the grace what is gone',
        rows: [
          [0, restore()],
          [1, online('tab', 'c1', { rooms: ['attic'], data: 'hello' })],
        ],
        lines: ['1 attic: joined', '15 user online ×1 "hello"', '15 lobby: left broker'],
      },
      {
        fact: 'keeps the away of a user until its grace is over',
        rows: [
          [0, restore({ status: 'away', connections: 1 })],
          [1, online('tab', 'c1', { status: 'away', rooms: { lobby: 7 }, data: 'hello' })],
        ],
        lines: [],
      },
      {
        fact: 'does nothing to a state that is known',
        rows: [
          [0, online('tab', 'c1')],
          [1, restore()],
        ],
        lines: ['0 user online ×1'],
      },
      {
        fact: 'of an offline user is silent until somebody comes, or its time is up',
        policy: SHORT,
        rows: [[0, restore({ status: 'offline', reason: 'left', connections: 0, data: null })]],
        lines: ['540 forgotten'],
      },
    ]))

  it('a restoration keeps what was shown: since, version and times of joining', () => {
    const { state } = play([[0, restore()]], { until: 0 })
    expect(viewUser(state)).to.deep.equal(SHOWN)
    expect(state.memberships.map((m) => viewMember(state, m))).to.deep.equal([
      { user: 'ann', status: 'online', since: SINCE, data: 7 },
    ])
  })

  describe('forgetting', () =>
    itPlays([
      {
        fact: 'an offline user is forgotten when its time is up',
        policy: SHORT,
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'left')],
        ],
        lines: ['0 user online ×1', '10 user offline left', '610 forgotten'],
      },
      {
        fact: 'a user that comes back is not',
        policy: SHORT,
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'left')],
          [600, online('tab', 'c2')],
        ],
        lines: ['0 user online ×1', '10 user offline left', '600 user online ×1'],
      },
      {
        fact: 'a stale document does not keep an offline user alive',
        policy: SHORT,
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'left')],
          [500, ended('tab', 'c7', 'closed')],
        ],
        lines: ['0 user online ×1', '10 user offline left', '500 stale unknown', '610 forgotten'],
      },
      {
        fact: 'who was never there is remembered for a minute, for the sake of late messages',
        rows: [[0, ended('tab', 'c1', 'closed')]],
        lines: ['0 stale unknown', '60 forgotten'],
      },
      {
        fact: 'a plain offline of who was never there leaves nothing behind',
        rows: [[0, document('lamp', { status: 'offline' })]],
        lines: ['0 stale unknown'],
      },
    ]))

  describe('too many connections', () =>
    itPlays([
      {
        fact: 'are refused, and what is there stays',
        policy: SHORT,
        rows: [
          [0, online('tab-1', 'c1')],
          [1, online('tab-2', 'c2')],
          [2, online('tab-3', 'c3', { rooms: ['lobby'] })],
          [3, online('tab-2', 'c2', { rooms: ['attic'] })],
        ],
        lines: ['0 user online ×1', '1 user online ×2', '2 refused at 2', '3 attic: joined'],
      },
      {
        fact: 'do not count those of the client itself: a takeover at the limit is silent',
        policy: SHORT,
        rows: [
          [0, online('tab-1', 'c1')],
          [1, online('tab-2', 'c2')],
          [2, online('tab-2', 'c3')],
        ],
        lines: ['0 user online ×1', '1 user online ×2'],
      },
      {
        fact: 'do not count those in grace: everybody comes back after a broker’s end',
        policy: SHORT,
        rows: [
          [0, online('tab-1', 'c1')],
          [0, online('tab-2', 'c2')],
          [10, census('b1')],
          [11, online('tab-3', 'c3')],
          [12, online('tab-4', 'c4')],
          [13, online('tab-5', 'c5')],
        ],
        lines: ['0 user online ×1', '0 user online ×2', '13 refused at 4'],
      },
    ]))

  it('connections in grace are bounded too, however fast a client changes its name', () => {
    const rows: Row[] = []
    for (let i = 0; i < 1000; i++) {
      rows.push([i / 1000, online(`tab-${i}`, 'c')], [i / 1000, unload(`tab-${i}`, 'c')])
    }
    const { state } = play(rows, { until: 1 })
    expect(state.connections.length).to.be.at.most(200)
  })

  it('the names of Object.prototype are names like any other', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    for (const name of names) {
      const data = JSON.parse(`{"${name}":{"${name}":1}}`) as UserDocument['data']
      const rooms = new Map([[name, data]])
      const { lines, state } = play(
        [
          [
            0,
            {
              ...online(name, name),
              document: { status: 'online', connection: name, rooms },
            } as Input,
          ],
          [1, document(name, { data })],
          [2, document(name, { connection: name, status: 'offline', reason: 'left' })],
        ],
        { user: name },
      )
      const json = `{"${name}":{"${name}":1}}`
      expect(lines).to.deep.equal([
        '0 user online ×1',
        `0 ${name}: joined ${json}`,
        `1 user online ×1 ${json}`,
        '2 user offline left',
        `2 ${name}: left left`,
      ])
      expect(viewUser(state).user).to.equal(name)
    }
  })

  it('a user of whom nothing is known has nothing to wait for', () => {
    const state = createUserState('ann')
    expect(nextDeadline(state)).to.equal(null)
    expect(step(state, { type: 'timer' }, START, SHORT)).to.deep.equal([state, []])
    expect(step(state, census('b1'), START, SHORT)).to.deep.equal([state, []])
  })
})
