import { expect } from 'chai'
import { createContradiction } from '../../broker/retained/contradiction.ts'

const SINCE = '2026-01-01T00:00:00.000Z'
const user = (status: string, version: number): string =>
  JSON.stringify({
    user: 'a/b',
    status,
    since: SINCE,
    lastSeen: SINCE,
    reason: status === 'offline' ? 'left' : null,
    connections: 1,
    data: null,
    version,
  })
const room = (version: number, users: readonly string[] | undefined): string =>
  JSON.stringify({
    room: 'r',
    version,
    size: users?.length ?? 5000,
    ...(users
      ? {
          members: users.map((name) => ({
            user: name,
            status: 'online',
            since: SINCE,
            data: null,
          })),
        }
      : { complete: false }),
  })
const USER = 'presence/users/a%2Fb'
const ROOM = 'presence/rooms/r'

/** Document or snapshot that is retained, its version; what comes, its version; whether it is left out. */
const CASES: readonly (readonly [string, string, number, string, string, number, boolean])[] = [
  ['an older offline', user('online', 7), 7, `${USER}/status`, 'offline', 6, true],
  ['an older offline, of somebody away', user('away', 7), 7, `${USER}/status`, 'offline', 6, true],
  ['an older online', user('offline', 7), 7, `${USER}/status`, 'online', 6, true],
  ['an older one that says the same', user('away', 7), 7, `${USER}/status`, 'online', 6, false],
  ['the one of that document', user('online', 7), 7, `${USER}/status`, 'offline', 7, false],
  ['a newer one', user('online', 7), 7, `${USER}/status`, 'offline', 8, false],
  ['a status that is cleared', user('online', 7), 7, `${USER}/status`, '', 6, false],
  ['a status beside what is no document', 'online', 7, `${USER}/status`, 'offline', 6, false],
  ['an older leave', room(7, ['u']), 7, `${ROOM}/members/u`, '', 6, true],
  ['an older join', room(7, []), 7, `${ROOM}/members/u`, '{"user":"u"}', 6, true],
  ['an older leave of who is not there', room(7, []), 7, `${ROOM}/members/u`, '', 6, false],
  ['an older member who is there', room(7, ['u']), 7, `${ROOM}/members/u`, '{}', 6, false],
  ['a newer leave', room(7, ['u']), 7, `${ROOM}/members/u`, '', 8, false],
  ['a leave of who knows how many', room(7, undefined), 7, `${ROOM}/members/u`, '', 6, false],
  ['an older count', room(7, ['u', 'v']), 7, `${ROOM}/count`, '3', 6, true],
  ['an older count that is right', room(7, ['u', 'v']), 7, `${ROOM}/count`, '2', 6, false],
  ['what is beside presence', user('online', 7), 7, 'users/a/status', 'offline', 6, false],
]

describe('what comes late on a topic', () => {
  for (const [title, retained, known, topic, payload, version, isLeftOut] of CASES) {
    it(`is ${isLeftOut ? 'left out' : 'let through'}: ${title}`, () => {
      const message = { payload: Buffer.from(retained) }
      const contradicts = createContradiction({
        root: 'presence',
        retained: (name) => (name === USER || name === ROOM ? message : undefined),
        versionOn: (name) => (name === USER || name === ROOM ? known : undefined),
      })
      expect(contradicts(topic, payload, version)).to.equal(isLeftOut)
      // As it is kept, and asked once more.
      expect(contradicts(topic, Buffer.from(payload), version)).to.equal(isLeftOut)
    })
  }
})
