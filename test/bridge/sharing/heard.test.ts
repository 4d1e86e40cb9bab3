import { expect } from 'chai'
import { createHeard, printOf } from '../../../bridge/sharing/heard.ts'
import type { HeardLog, StoredUser } from '../../../bridge/index.ts'
import type { ConnectionDocument } from '../../../protocol/index.ts'
import { stateOf } from '../store/samples.ts'

/** What comes to a bridge, so many seconds after the start: of a client and its connection, a broker, the stamp. */
type Row = readonly [
  second: number,
  bridge: 'a' | 'b',
  client: string,
  broker: string,
  stamp: number | undefined,
  outcome: 'applied' | 'known',
]

interface Table {
  readonly fact: string
  readonly rows: readonly Row[]
  /** Whose connection is up at one broker all the time. */
  readonly up?: readonly [client: string, broker: string]
}

const TABLES: readonly Table[] = [
  {
    fact: 'what another bridge has applied is known, whenever this one comes with it',
    rows: [
      [0, 'a', 'tab', 'b1', 5, 'applied'],
      [0, 'b', 'tab', 'b1', 5, 'known'],
      [1, 'b', 'tab', 'b1', 9, 'applied'],
      [50, 'a', 'tab', 'b1', 9, 'known'],
    ],
  },
  {
    fact: 'bridges need not hear the same: each may hear a broker of its own',
    rows: [
      [0, 'a', 'tab', 'b1', 5, 'applied'],
      [1, 'b', 'tab', 'b2', 3, 'applied'],
      [2, 'a', 'tab', 'b1', 6, 'applied'],
      [3, 'b', 'tab', 'b2', 4, 'applied'],
      [4, 'b', 'tab', 'b1', 6, 'known'],
    ],
  },
  {
    fact: 'clients do not know each other',
    rows: [
      [0, 'a', 'tab', 'b1', 9, 'applied'],
      [0, 'a', 'phone', 'b1', 5, 'applied'],
      [1, 'b', 'phone', 'b1', 5, 'known'],
    ],
  },
  {
    fact: 'what a later document of the same connection has overtaken is dropped: that one says it too',
    rows: [
      [0, 'a', 'tab/c1', 'b1', 5, 'applied'],
      [0, 'a', 'tab/c1', 'b1', 7, 'applied'],
      [0, 'a', 'tab/c1', 'b1', 6, 'known'],
      [1, 'b', 'tab/c1', 'b1', 5, 'known'],
      [1, 'b', 'tab/c1', 'b1', 6, 'known'],
      [1, 'b', 'tab/c1', 'b1', 7, 'known'],
    ],
  },
  {
    fact: 'what the end of an older connection has overtaken is applied, once',
    rows: [
      [0, 'a', 'tab/c1', 'b1', 5, 'applied'],
      [0, 'a', 'tab/c1', 'b1', 7, 'applied'],
      [0, 'a', 'tab/c2', 'b1', 6, 'applied'],
      [1, 'b', 'tab/c1', 'b1', 7, 'known'],
      [1, 'b', 'tab/c2', 'b1', 6, 'known'],
    ],
  },
  {
    fact: 'what is older than all connections that are remembered counts as applied',
    rows: [
      ...[10, 20, 30, 40, 50, 60].map((stamp): Row => [
        0,
        'a',
        `tab/c${stamp}`,
        'b1',
        stamp,
        'applied',
      ]),
      [1, 'b', 'tab/c10', 'b1', 10, 'known'],
      [1, 'b', 'tab/c10', 'b1', 20, 'known'],
      [1, 'b', 'tab/c20', 'b1', 20, 'known'],
      [1, 'b', 'tab/c20', 'b1', 21, 'applied'],
    ],
  },
  {
    fact: 'a bridge that was stopped for an hour beside a live one applies nothing again',
    up: ['tab', 'b1'],
    rows: [
      [0, 'b', 'tab', 'b1', 5, 'applied'],
      [10, 'b', 'tab', 'b1', 7, 'applied'],
      [3000, 'b', 'phone', 'b1', 9, 'applied'],
      [3600, 'a', 'tab', 'b1', 5, 'known'],
      [3600, 'a', 'tab', 'b1', 7, 'known'],
      [3600, 'a', 'phone', 'b1', 9, 'known'],
      [3600, 'a', 'tab', 'b1', 11, 'applied'],
    ],
  },
  {
    fact: 'without stamps documents are counted, for as long as one bridge may be behind another',
    rows: [
      [1, 'a', 'tab', 'foreign', undefined, 'applied'],
      [1, 'b', 'tab', 'foreign', undefined, 'known'],
      [2, 'b', 'tab', 'foreign', undefined, 'applied'],
      [3, 'a', 'tab', 'foreign', undefined, 'known'],
    ],
  },
  {
    fact: 'counts and stamps of one client do not disturb each other',
    rows: [
      [1, 'a', 'tab', 'b1', 5, 'applied'],
      [1, 'a', 'tab', 'foreign', undefined, 'applied'],
      [2, 'b', 'tab', 'foreign', undefined, 'known'],
      [2, 'b', 'tab', 'b1', 5, 'known'],
      [2, 'b', 'tab', 'b1', 6, 'applied'],
    ],
  },
]

/** The log that two bridges share. */
class Shared {
  now = 0
  log: HeardLog = []
  readonly #up: Table['up']
  readonly #bridges = { a: createHeard(() => this.now), b: createHeard(() => this.now) }

  constructor(up?: Table['up']) {
    this.#up = up
  }

  take(name: 'a' | 'b', client: string, document: ConnectionDocument): 'applied' | 'known' {
    const print = printOf(client, document)
    const log = this.#bridges[name].judge('ann', print, this.#stored())
    if (!log) return 'known'
    this.log = log
    this.#bridges[name].applied('ann', print, log)
    return 'applied'
  }

  #stored(): StoredUser | undefined {
    if (this.log.length === 0) return undefined
    const [client, broker] = this.#up ?? ['nobody', 'b1']
    const state = stateOf('ann', broker)
    const connections = state.connections.map((connection) => ({ ...connection, client }))
    return { state: { ...state, connections }, revision: 1, heard: this.log }
  }
}

describe('a document that another bridge has applied', () => {
  for (const { fact, rows, up } of TABLES) {
    it(fact, () => {
      const shared = new Shared(up)
      const outcomes = rows.map(([second, bridge, client, broker, stamp]) => {
        shared.now = second * 1000
        const [name = '', connection = 'c1'] = client.split('/')
        const said = stamp === undefined ? { data: 'the same' } : { broker, stamp, connection }
        return shared.take(bridge, name, { status: 'online', ...said })
      })
      expect(outcomes).to.deep.equal(rows.map((row) => row[5]))
    })
  }

  it('is remembered for two minutes, and for as long as its connection is there', () => {
    const shared = new Shared(['phone', 'b1'])
    const say = (client: string, stamp: number): void =>
      void shared.take('a', client, { status: 'online', broker: 'b1', connection: 'c1', stamp })
    for (const client of ['tab', 'phone', 'desk']) say(client, 5)
    shared.now = 120_000
    say('desk', 6)
    expect(shared.log).to.have.length(3)
    shared.now = 120_001
    say('desk', 7)
    expect(highest(shared.log)).to.deep.equal([[5], [7]])
  })

  it('is not of more than four connections of a client', () => {
    const shared = new Shared()
    for (let stamp = 1; stamp <= 20; stamp++) {
      const connection = `c${stamp}`
      shared.take('a', 'tab', { status: 'online', broker: 'b1', connection, stamp })
    }
    expect(highest(shared.log)).to.deep.equal([[17, 18, 19, 20]])
  })
})

/** The stamps that are remembered, by client. */
function highest(log: HeardLog): number[][] {
  return log.map((entry) => ('newest' in entry ? entry.newest.map(([, stamp]) => stamp) : []))
}
