import { expect } from 'chai'
import { BOUNDS, dueWith, GRACE, recoveryOf } from './bounds.ts'
import { compareExactly } from './final.ts'
import type { End, History, Life, Outage, Said } from './history.ts'
import { judge } from './judge.ts'
import { createReader, type Reading } from './reading.ts'

const SECOND = 1000
const END = 60 * SECOND

/** A connection of ann from its CONNACK on. */
function life(upAt: number, more: Partial<Life> = {}): Life {
  const base = {
    user: 'ann',
    client: 'a1',
    broker: 0,
    askedAt: upAt - 10,
    upAt,
    said: [],
    end: null,
  }
  return { ...base, ...more }
}

function said(
  number: number,
  at: number,
  rooms: readonly string[] = [],
  ackedAt: number | null = at + 5,
): Said {
  return { number, rooms, at, ackedAt }
}

function ended(how: End['how'], from: number, until = from): End {
  return { how, from, until }
}

function outage(
  part: Outage['part'],
  harm: Outage['harm'],
  from: number,
  to: number,
  target = 0,
): Outage {
  return { part, harm, target, from, to }
}

function history(lives: readonly Life[], more: Partial<History> = {}): History {
  const fixed = { isVolatile: false, isShared: true, isAlone: false }
  return { lives, outages: [], ...fixed, ...more }
}

type Line = readonly [at: number, topic: string, payload: unknown]

function userDocument(status: string, data: number | null, version: number): object {
  const times = { since: '2026-03-01T09:00:00.000Z', lastSeen: '2026-03-01T09:00:00.000Z' }
  return { user: 'ann', status, ...times, reason: null, connections: 1, data, version }
}

function online(at: number, data: number | null = null): readonly Line[] {
  return [
    [at, 'users/ann', userDocument('online', data, at)],
    [at, 'users/ann/status', 'online'],
  ]
}

function offline(at: number): readonly Line[] {
  return [
    [at, 'users/ann', userDocument('offline', null, at)],
    [at, 'users/ann/status', 'offline'],
  ]
}

function member(user: string, data: number): object {
  return { user, status: 'online', since: '2026-03-01T09:00:00.000Z', data }
}

function snapshot(at: number, version: number, ...members: readonly object[]): Line {
  return [at, 'rooms/den', { room: 'den', version, size: members.length, members }]
}

function diff(at: number, version: number, previous: number, more: object): Line {
  const none = { joined: [], updated: [], left: [] }
  return [at, 'rooms/den/events', { room: 'den', version, previous, size: 1, ...none, ...more }]
}

const leave = {
  user: 'ann',
  reason: 'left',
  since: '2026-03-01T09:00:00.000Z',
  lastSeen: '2026-03-01T09:00:00.000Z',
}

function reading(...lines: readonly Line[]): Reading {
  const reader = createReader('reader')
  reader.open(0)
  for (const [at, topic, payload] of lines) {
    reader.read(
      at,
      `presence/${topic}`,
      typeof payload === 'string' ? payload : JSON.stringify(payload),
    )
  }
  return reader.finish(END)
}

function violations(done: History, read: Reading): string[] {
  return [...new Set(judge(done, [read]).violations.map(({ invariant }) => invariant))]
}

/** Ann is in the den, and is shown so. */
const inDen = [...online(5010, 1), [5010, 'rooms/den/members/ann', member('ann', 1)] as const]
const joins = [
  snapshot(2, 1),
  snapshot(5010, 2, member('ann', 1)),
  diff(5010, 2, 1, { joined: [member('ann', 1)] }),
]

describe('the checker of the chaos', () => {
  describe('finds nothing', () => {
    const fine: readonly (readonly [string, History, Reading])[] = [
      ['when nothing happens', history([]), reading()],
      ['when somebody comes and stays', history([life(5000)]), reading(...online(5010))],
      [
        'when what was acknowledged without Redis is lost with its broker',
        history(
          [
            life(5000, { said: [said(1, 5005, ['den'])], end: ended('closed', 8500) }),
            life(8800, {
              client: 'a2',
              said: [said(2, 9000, ['den'])],
              end: ended('broker', 10_000),
            }),
          ],
          {
            outages: [
              outage('redis', 'stop', 8000, 12_000),
              outage('broker', 'kill', 10_000, 11_000),
            ],
          },
        ),
        reading(
          ...inDen,
          ...joins,
          ...offline(13_000),
          [13_000, 'rooms/den/members/ann', ''],
          snapshot(13_000, 3),
          diff(13_000, 3, 2, { size: 0, left: [leave] }),
        ),
      ],
      [
        'when what was acknowledged before bridges were there again is lost with its broker',
        history(
          [
            life(5000, { said: [said(1, 5005, ['den'])], end: ended('closed', 8500) }),
            life(8800, {
              client: 'a2',
              said: [said(2, 9000, ['den'])],
              end: ended('broker', 10_000),
            }),
          ],
          {
            outages: [
              outage('broker', 'kill', 7000, 8500),
              outage('broker', 'kill', 10_000, 11_000),
            ],
          },
        ),
        reading(
          ...inDen,
          ...joins,
          ...offline(13_000),
          [13_000, 'rooms/den/members/ann', ''],
          snapshot(13_000, 3),
          diff(13_000, 3, 2, { size: 0, left: [leave] }),
        ),
      ],
      [
        'when Redis and the only broker lose everything in one moment',
        history([life(5000, { end: ended('broker', 10_000) })], {
          isAlone: true,
          outages: [
            outage('redis', 'empty', 9000, 10_500),
            outage('broker', 'kill', 10_000, 11_000),
          ],
        }),
        reading(...online(5010), ...offline(12_000)),
      ],
      [
        'when a later snapshot stands in for one that a diff leads to',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(
          ...inDen,
          ...joins,
          snapshot(6000, 4, member('ann', 1)),
          diff(6000, 3, 2, {}),
          diff(6001, 4, 3, {}),
        ),
      ],
      [
        'when somebody is offline when its grace is over',
        history([life(5000, { end: ended('closed', 10_000) })]),
        reading(...online(5010), ...offline(10_000 + GRACE.closed)),
      ],
      [
        'when somebody refreshes within its grace',
        history([life(5000, { end: ended('closed', 10_000) }), life(10_500, { client: 'a2' })]),
        reading(...online(5010)),
      ],
      [
        'when what a broker took with it is over as soon as its client has spoken again, and gone',
        history(
          [
            life(5000, { end: ended('lost', 10_050) }),
            life(11_000, { said: [said(1, 11_005)], end: ended('closed', 12_000) }),
          ],
          { outages: [outage('broker', 'kill', 10_000, 13_000)] },
        ),
        reading(...online(5010), ...online(11_010, 1), ...offline(14_000)),
      ],
      [
        'when a joined member is shown, and its copy is right',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(...inDen, ...joins),
      ],
      [
        'when a ghost is as long as a broker was stopped',
        history([life(5000, { end: ended('closed', 10_000) })], {
          outages: [outage('broker', 'stop', 10_100, 20_000)],
        }),
        reading(...online(5010), ...offline(24_000)),
      ],
      [
        'when a server is stopped between a document and its plain status',
        history([life(10_000, { said: [said(1, 10_005)] })], {
          isShared: false,
          outages: [outage('server', 'stop', 10_020, 15_000)],
        }),
        reading(
          [10_010, 'users/ann', userDocument('online', 1, 10_010)],
          [15_010, 'users/ann/status', 'online'],
        ),
      ],
      [
        'when bridges miss a broker that is stopped for long before it goes on',
        history([life(5000, { end: ended('lost', 16_000) })], {
          outages: [outage('broker', 'stop', 10_000, 21_500)],
        }),
        reading(...online(5010), ...offline(25_300)),
      ],
      [
        'when a killed server forgets everybody and they are back',
        history([life(5000, { end: ended('lost', 10_050) }), life(12_000, { client: 'a1' })], {
          isVolatile: true,
          isShared: false,
          outages: [outage('server', 'kill', 10_000, 11_000)],
        }),
        (() => {
          const reader = createReader('reader')
          const all: readonly Line[] = [...online(5010), ...online(12_010)]
          reader.open(0)
          for (const [at, topic, payload] of all) {
            if (at === 12_010) reader.open(11_000)
            reader.read(
              at,
              `presence/${topic}`,
              typeof payload === 'string' ? payload : JSON.stringify(payload),
            )
          }
          return reader.finish(END)
        })(),
      ],
    ]
    for (const [title, done, read] of fine) {
      it(title, () => expect(judge(done, [read]).violations).to.deep.equal([]))
    }
  })

  describe('finds', () => {
    const planted: readonly (readonly [string, string, History, Reading])[] = [
      [
        'a ghost that is later than its bound',
        'a ghost',
        history([life(5000, { end: ended('closed', 10_000) })]),
        reading(...online(5010), ...offline(10_000 + GRACE.closed + BOUNDS.shown.ms + 100)),
      ],
      ['somebody who was never there', 'a ghost', history([]), reading(...online(5010))],
      [
        'a ghost in the plain status alone',
        'a ghost',
        history([life(5000, { end: ended('left', 10_000) })]),
        reading(...online(5010), [10_010, 'users/ann', userDocument('offline', null, 10_010)]),
      ],
      [
        'a member that stays when its user is gone',
        'a ghost',
        history([life(5000, { said: [said(1, 5005, ['den'])], end: ended('left', 10_000) })]),
        reading(...inDen, ...joins, ...offline(10_010)),
      ],
      [
        'a false offline of who is up',
        'a false offline',
        history([life(5000)]),
        reading(...online(5010), ...offline(20_000), ...online(20_050)),
      ],
      [
        'a false offline before the grace is over',
        'a false offline',
        history([life(5000, { end: ended('closed', 20_000) })]),
        reading(...online(5010), ...offline(21_000)),
      ],
      [
        'a false offline between two connections of one user',
        'a false offline',
        history([life(5000, { end: ended('closed', 20_000) }), life(20_500, { client: 'a2' })]),
        reading(...online(5010), ...offline(22_500), ...online(22_600)),
      ],
      [
        'a false offline when one of them is left',
        'a false offline',
        history([life(5000, { end: ended('broker', 10_000) })], {
          isAlone: true,
          outages: [
            outage('redis', 'kill', 9000, 10_500),
            outage('broker', 'kill', 10_000, 11_000),
          ],
        }),
        reading(...online(5010), ...offline(12_000)),
      ],
      [
        'a false offline while a broker is stopped',
        'a false offline',
        history([life(5000)], { outages: [outage('broker', 'stop', 20_000, 30_000)] }),
        reading(...online(5010), ...offline(30_010), ...online(30_100)),
      ],
      [
        'a false offline of who has been shown while much was broken',
        'a false offline',
        history([life(10_000, { said: [said(1, 10_005, ['den'])] })], {
          outages: [outage('redis', 'empty', 9000, 12_000)],
        }),
        reading(...online(10_010, 1), ...offline(12_500), ...online(12_600, 1)),
      ],
      [
        'a false offline of who came back after its broker was killed',
        'a false offline',
        history([life(5000, { end: ended('lost', 20_050) }), life(24_000)], {
          outages: [outage('broker', 'kill', 20_000, 22_000)],
        }),
        reading(...online(5010), ...offline(27_000), ...online(27_100)),
      ],
      [
        'a plain status that is wrong for long',
        'a false offline',
        history([life(5000)]),
        reading(...online(5010), [20_000, 'users/ann/status', 'offline']),
      ],
      [
        'a plain status that is wrong for a moment',
        'a false offline',
        history([life(5000)]),
        reading(
          ...online(5010),
          [20_000, 'users/ann/status', 'offline'],
          [20_100, 'users/ann/status', 'online'],
        ),
      ],
      [
        'a member who leaves a room in which it is',
        'a false offline',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(...inDen, ...joins, [20_000, 'rooms/den/members/ann', '']),
      ],
      ['somebody who is not shown', 'not shown in time', history([life(5000)]), reading()],
      [
        'an acknowledged document that is not reflected',
        'not shown in time',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(...online(5010, 1), snapshot(2, 1)),
      ],
      [
        'an acknowledged document whose data is not reflected',
        'data that is out of date',
        history([life(5000, { said: [said(1, 5005, ['den']), said(2, 20_000, ['den'])] })]),
        reading(...inDen, ...joins),
      ],
      [
        'the data of an older connection in place of the newest',
        'data that is out of date',
        history([
          life(5000, { said: [said(1, 5005)] }),
          life(20_000, { client: 'a2', said: [said(2, 20_005)] }),
        ]),
        reading(...online(5010, 1)),
      ],
      [
        'data that nobody gave',
        'data that nobody gave',
        history([life(5000, { said: [said(1, 5005)] })]),
        reading(...online(5010, 7)),
      ],
      [
        'a leave without a join',
        'a leave without a join',
        history([]),
        reading(snapshot(2, 1), snapshot(9, 2), diff(9, 2, 1, { left: [leave] })),
      ],
      [
        'a second join',
        'a join without a leave',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(
          ...inDen,
          ...joins,
          snapshot(6000, 3, member('ann', 1)),
          diff(6000, 3, 2, { joined: [member('ann', 1)] }),
        ),
      ],
      [
        'a version that goes back for good',
        'a version went back',
        history([life(5000)]),
        reading(...online(5010), [6000, 'users/ann', userDocument('online', null, 4)]),
      ],
      [
        'a version that goes back for a moment',
        'a version went back',
        history([life(5000)]),
        reading(
          ...online(5010),
          [6000, 'users/ann', userDocument('online', null, 4)],
          [6001, 'users/ann', userDocument('online', null, 5010)],
        ),
      ],
      [
        'a fold that is unlike its snapshot',
        'a fold unlike its snapshot',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(...inDen, ...joins, snapshot(6000, 3), diff(6000, 3, 2, {})),
      ],
      [
        'that what was acknowledged before Redis was away is lost with its broker',
        'not shown in time',
        history([life(5000, { said: [said(1, 6000, ['den'])], end: ended('broker', 60_000) })], {
          outages: [outage('redis', 'stop', 7000, 9000), outage('broker', 'kill', 60_000, 61_000)],
        }),
        reading(...online(5010), ...offline(60_000 + GRACE.broker)),
      ],
      [
        'a diff that comes before its snapshot',
        'a diff before its snapshot',
        history([life(5000, { said: [said(1, 5005, ['den'])] })]),
        reading(...inDen, ...joins, diff(6000, 3, 2, {}), snapshot(6001, 3, member('ann', 1))),
      ],
      [
        'a gap that nothing explains',
        'a gap without a fault',
        history([life(5000, { said: [said(1, 5005, ['den'])] })], { isShared: false }),
        reading(...inDen, ...joins, snapshot(6000, 4, member('ann', 1)), diff(6000, 4, 3, {})),
      ],
      [
        'a connection that was dropped for nothing',
        'dropped without a reason',
        history([life(5000, { end: ended('lost', 20_000) })]),
        reading(...online(5010), ...offline(23_000)),
      ],
      [
        'a payload that nobody understands',
        'not understood',
        history([]),
        reading([9, 'rooms/den', '{}']),
      ],
    ]
    for (const [title, invariant, done, read] of planted) {
      it(title, () => expect(violations(done, read)).to.include(invariant))
    }
  })

  describe('in the end', () => {
    const retained = new Map([
      ['presence/users/ann', JSON.stringify(userDocument('online', 1, 2))],
      ['presence/users/ann/status', 'online'],
      [
        'presence/rooms/den',
        JSON.stringify({ room: 'den', version: 2, size: 1, members: [member('ann', 1)] }),
      ],
      ['presence/rooms/den/members/ann', JSON.stringify(member('ann', 1))],
      ['presence/rooms/den/count', '1'],
    ])
    const lives = [life(5000, { said: [said(1, 5005, ['den'])] })]
    const read = reading(...inDen, ...joins)
    const compare = (changes: Readonly<Record<string, string | null>>, of = lives): string[] => {
      const now = new Map(retained)
      for (const [topic, text] of Object.entries(changes)) {
        if (text === null) now.delete(`presence/${topic}`)
        else now.set(`presence/${topic}`, text)
      }
      return compareExactly(of, now, read, END).map(({ detail }) => detail)
    }

    it('finds nothing when all is exact', () => expect(compare({})).to.deep.equal([]))

    const planted: readonly (readonly [string, Readonly<Record<string, string | null>>])[] = [
      ['a user who is missing', { 'users/ann': null, 'users/ann/status': null }],
      ['a plain status that differs', { 'users/ann/status': 'offline' }],
      [
        'a wrong number of connections',
        {
          'users/ann': JSON.stringify({ ...userDocument('online', 1, 2), connections: 2 }),
        },
      ],
      [
        'a ghost',
        { 'users/bob': JSON.stringify({ ...userDocument('online', 1, 2), user: 'bob' }) },
      ],
      [
        'a member topic that was not cleared',
        {
          'rooms/den/members/bob': JSON.stringify(member('bob', 1)),
        },
      ],
      ['a member topic that is missing', { 'rooms/den/members/ann': null }],
      ['a wrong count', { 'rooms/den/count': '2' }],
      [
        'a room of which nobody is left',
        { 'rooms/attic/members/ann': JSON.stringify(member('ann', 1)) },
      ],
      [
        "a reader's copy that is behind",
        {
          'rooms/den': JSON.stringify({
            room: 'den',
            version: 3,
            size: 1,
            members: [member('ann', 1)],
          }),
        },
      ],
    ]
    for (const [title, changes] of planted) {
      it(`finds ${title}`, () => expect(compare(changes)).not.to.deep.equal([]))
    }

    it('takes either, when a document was never acknowledged', () => {
      const unsure = [life(5000, { said: [said(1, 5005, ['den']), said(2, 9000, [], null)] })]
      expect(compare({}, unsure)).to.deep.equal([])
    })
  })

  describe('moves what is due', () => {
    const stop = outage('bridge', 'stop', 10_000, 14_000)
    const recovered = 14_000 + recoveryOf(stop)
    const rows: readonly (readonly [string, readonly Outage[], number, number, number])[] = [
      ['not at all when nothing is broken', [], 1000, 3000, 3000],
      ['not for a fault that comes later', [stop], 1000, 3000, 3000],
      ['not for a fault that is over for long', [stop], 40_000, 43_000, 43_000],
      ['to the recovery from a fault', [stop], 9000, 12_000, recovered],
      ['by the length of a fault, when that is later', [stop], 9000, 23_000, 27_000],
      ['to the recovery of one that has just ended', [stop], 15_000, 18_000, recovered],
      [
        'from fault to fault',
        [stop, outage('bridge', 'stop', 20_000, 21_000)],
        9000,
        12_000,
        21_000 + recoveryOf(stop),
      ],
    ]
    for (const [title, outages, since, due, expected] of rows) {
      it(title, () => expect(dueWith(outages, since, due)).to.equal(expected))
    }
  })
})
