import { resolvePolicy } from '../../../bridge/core/index.ts'
import { CAUSES, type Cause } from '../../../protocol/index.ts'
import { document, ended, itPlays, online, unload, type Scripted } from './script.ts'

/** Seconds, as they are documented. */
const GRACES: Readonly<Record<Cause, number>> = {
  left: 0,
  unload: 2,
  closed: 5,
  timeout: 5,
  error: 5,
  broker: 15,
  kicked: 0,
}

function endsWith(cause: Cause): Scripted {
  return {
    fact: `${cause} is held for ${GRACES[cause]} s`,
    rows: [
      [0, online('tab', 'c1', { rooms: ['lobby'] })],
      [10, ended('tab', 'c1', cause)],
    ],
    lines: [
      '0 user online ×1',
      '0 lobby: joined',
      `${10 + GRACES[cause]} user offline ${cause}`,
      `${10 + GRACES[cause]} lobby: left ${cause}`,
    ],
  }
}

const RULES = resolvePolicy({
  grace: { closed: 20_000, kicked: 1000 },
  roomGrace: [
    { pattern: 'doc-*', grace: { closed: 30_000 } },
    { pattern: 'doc-1', grace: { closed: 60_000, timeout: 2000 } },
    { pattern: 'a.c', grace: { closed: 1000 } },
  ],
  maxConnectionGraceMs: 40_000,
})

describe('grace', () => {
  describe('by cause', () => itPlays(CAUSES.map(endsWith)))

  describe('that is set', () =>
    itPlays([
      {
        fact: 'globally, replaces the default of that cause alone',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1')],
          [1, ended('tab', 'c1', 'closed')],
          [50, online('tab', 'c2')],
          [51, ended('tab', 'c2', 'timeout')],
          [90, online('tab', 'c3')],
          [91, ended('tab', 'c3', 'kicked')],
        ],
        lines: [
          '0 user online ×1',
          '21 user offline closed',
          '50 user online ×1',
          '56 user offline timeout',
          '90 user online ×1',
          '92 user offline kicked',
        ],
      },
      {
        fact: 'by room pattern, outlasts the connection, and the user leaves with the last room',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1', { rooms: ['doc-7', 'lobby'] })],
          [1, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 doc-7: joined',
          '0 lobby: joined',
          '21 lobby: left closed',
          '31 user offline closed',
          '31 doc-7: left closed',
        ],
      },
      {
        fact: 'by room pattern, may be shorter than the connection’s',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1', { rooms: ['doc-1'] })],
          [1, ended('tab', 'c1', 'timeout')],
        ],
        lines: [
          '0 user online ×1',
          '0 doc-1: joined',
          '3 doc-1: left timeout',
          '6 user offline timeout',
        ],
      },
      {
        fact: 'by two patterns that match: the first that names the cause counts',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1', { rooms: ['doc-1'] })],
          [1, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 doc-1: joined',
          '31 user offline closed',
          '31 doc-1: left closed',
        ],
      },
      {
        fact: 'by a pattern with characters that mean something to a regular expression, is literal',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1', { rooms: ['abc'] })],
          [1, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 abc: joined',
          '21 user offline closed',
          '21 abc: left closed',
        ],
      },
      {
        fact: 'by the connection, comes before the global one and after the room’s',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1', { rooms: ['doc-7', 'lobby'], grace: { closed: 3000 } })],
          [1, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 doc-7: joined',
          '0 lobby: joined',
          '4 lobby: left closed',
          '31 user offline closed',
          '31 doc-7: left closed',
        ],
      },
      {
        fact: 'by the connection, is bounded',
        policy: RULES,
        rows: [
          [0, online('tab', 'c1', { grace: { closed: 3_600_000 } })],
          [1, ended('tab', 'c1', 'closed')],
        ],
        lines: ['0 user online ×1', '41 user offline closed'],
      },
      {
        fact: 'by the connection, stays when later documents do not name it',
        rows: [
          [0, online('tab', 'c1', { grace: { closed: 9000 } })],
          [1, online('tab', 'c1', { rooms: ['lobby'] })],
          [2, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '1 lobby: joined',
          '11 user offline closed',
          '11 lobby: left closed',
        ],
      },
      {
        fact: 'by the document that ends the connection, counts for that end',
        rows: [
          [0, online('tab', 'c1')],
          [1, unload('tab', 'c1', { grace: { unload: 10_000 } })],
        ],
        lines: ['0 user online ×1', '11 user offline unload'],
      },
    ]))

  describe('after an end', () =>
    itPlays([
      {
        fact: 'the socket that closes after an unload does not lengthen it',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, unload('tab', 'c1')],
          [11, ended('tab', 'c1', 'closed')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '12 user offline unload',
          '12 lobby: left unload',
        ],
      },
      {
        fact: 'an explicit leave shortens it',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, ended('tab', 'c1', 'closed')],
          [11, ended('tab', 'c1', 'left')],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '11 user offline left',
          '11 lobby: left left',
        ],
      },
      {
        fact: 'an end that repeats itself does not lengthen it',
        rows: [
          [0, online('tab', 'c1')],
          [10, ended('tab', 'c1', 'closed')],
          [14, ended('tab', 'c1', 'closed')],
        ],
        lines: ['0 user online ×1', '15 user offline closed'],
      },
      {
        fact: 'a later document of the connection ends an unload',
        rows: [
          [0, online('tab', 'c1', { seq: 1, rooms: ['lobby'] })],
          [10, unload('tab', 'c1', { seq: 2 })],
          [11, online('tab', 'c1', { seq: 3 })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'a new connection of the client ends an unload',
        rows: [
          [0, online('tab', 'c1', { rooms: ['lobby'] })],
          [10, unload('tab', 'c1')],
          [11, online('tab', 'c2', { rooms: ['lobby'] })],
        ],
        lines: ['0 user online ×1', '0 lobby: joined'],
      },
      {
        fact: 'a page that comes back from the cache after its unload was believed joins again',
        rows: [
          [0, online('tab', 'c1', { seq: 1, rooms: ['lobby'] })],
          [10, unload('tab', 'c1', { seq: 2 })],
          [60, online('tab', 'c1', { seq: 3, rooms: ['lobby'] })],
        ],
        lines: [
          '0 user online ×1',
          '0 lobby: joined',
          '12 user offline unload',
          '12 lobby: left unload',
          '60 user online ×1',
          '60 lobby: joined',
        ],
      },
    ]))

  describe('of a plain device', () =>
    itPlays([
      {
        fact: 'plain offline has the cause closed',
        rows: [
          [0, document('lamp', { status: 'online' })],
          [9, document('lamp', { status: 'offline' })],
        ],
        lines: ['0 user online ×1', '14 user offline closed'],
      },
      {
        fact: 'an empty payload is an explicit leave',
        rows: [
          [0, document('lamp', { status: 'online' })],
          [9, document('lamp', { status: 'offline', reason: 'left' })],
        ],
        lines: ['0 user online ×1', '9 user offline left'],
      },
      {
        fact: 'any other reason that a client gives is not believed',
        rows: [
          [0, document('lamp', { status: 'online' })],
          [9, document('lamp', { status: 'offline', reason: 'kicked' })],
          [20, document('lamp', { status: 'online' })],
          [29, document('lamp', { status: 'offline', reason: 'broker' })],
        ],
        lines: [
          '0 user online ×1',
          '14 user offline closed',
          '20 user online ×1',
          '34 user offline closed',
        ],
      },
      {
        fact: 'plain online after plain offline, within the grace, is silent',
        rows: [
          [0, document('lamp', { status: 'online' })],
          [9, document('lamp', { status: 'offline' })],
          [13, document('lamp', { status: 'online' })],
        ],
        lines: ['0 user online ×1'],
      },
    ]))
})
