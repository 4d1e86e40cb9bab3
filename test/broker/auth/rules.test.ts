import { expect } from 'chai'
import { createAppAccess, overlap } from '../../../broker/auth/app-topics.ts'
import { parseClaims } from '../../../broker/auth/claims.ts'
import { grantByClaims, grantEverybody, grantGuest } from '../../../broker/auth/grant.ts'
import { createMatcher } from '../../../broker/auth/matcher.ts'
import { judgeTopic, refuseRooms } from '../../../broker/auth/publish-rules.ts'
import { mayRead, maySubscribe } from '../../../broker/auth/read-rules.ts'

const POLICY = { defaultRooms: ['*'], appTopics: ['app/#', 'dev/{client}/#'] } as const

describe('a pattern', () => {
  const rows: readonly [patterns: string[], id: string, matches: boolean][] = [
    [['lobby'], 'lobby', true],
    [['lobby'], 'lobby2', false],
    [['*'], '', true],
    [['doc-*'], 'doc-', true],
    [['doc-*'], 'doc-1', true],
    [['doc-*'], 'adoc-1', false],
    [['*-x'], 'a-x', true],
    [['a*b*c'], 'abc', true],
    [['a*b*c'], 'a-b-c', true],
    [['a*b*c'], 'acb', false],
    [['a*bc'], 'abcbc', true],
    [['ab*ba'], 'aba', false],
    [['**x'], 'x', true],
    [['a.c'], 'abc', false],
    [['[ab]'], 'a', false],
    [['a', 'b*'], 'bb', true],
    [[], 'a', false],
    [['팀/*'], '팀/1', true],
  ]
  for (const [patterns, id, matches] of rows) {
    it(`${patterns.join(' or ') || 'of nothing'} ${matches ? 'stands for' : 'is not'} ${id || 'nothing'}`, () => {
      expect(createMatcher(patterns)(id)).to.equal(matches)
    })
  }

  it('takes no time to speak of, however it is made', () => {
    const matches = createMatcher([`${'a*'.repeat(100)}b`])
    const start = performance.now()
    expect(matches('a'.repeat(256))).to.equal(false)
    expect(performance.now() - start).to.be.below(50)
  })
})

describe('two filters', () => {
  const rows: readonly [string, string, boolean][] = [
    ['a', 'a', true],
    ['a', 'b', false],
    ['a/#', 'a', true],
    ['#', 'a/b', true],
    ['+', 'a', true],
    ['+', 'a/b', false],
    ['+/b', 'a/+', true],
    ['a/+/c', 'a/b/d', false],
    ['a/b', 'a/b/#', true],
    ['a/b', 'a/b/c/#', false],
    ['a/b/c', 'a/b', false],
  ]
  for (const [one, other, expected] of rows) {
    it(`${one} and ${other} ${expected ? 'have' : 'have not'} a topic in common`, () => {
      expect(overlap(one.split('/'), other.split('/'))).to.equal(expected)
      expect(overlap(other.split('/'), one.split('/'))).to.equal(expected)
    })
  }
})

describe('topics outside of presence', () => {
  it('are open, closed, or open by filters', () => {
    expect(createAppAccess('allow', 'u', 'c').mayUse('x')).to.equal(true)
    expect(createAppAccess('deny', 'u', 'c').mayUse('x')).to.equal(false)
    expect(createAppAccess(['a/#'], 'u', 'c').mayUse('a/b')).to.equal(true)
    expect(createAppAccess(['a/#'], 'u', 'c').mayUse('b')).to.equal(false)
  })

  it('may be the client’s own, whatever it is called', () => {
    const access = createAppAccess(['dev/{client}/#', 'of/{user}'], '+', '#')
    expect(access.mayUse('dev/other/x')).to.equal(false)
    expect(access.mayUse('dev/%23/x')).to.equal(true)
    expect(access.mayUse('of/somebody')).to.equal(false)
    expect(createAppAccess(['of/{user}'], '$&', 'c').mayUse('of/$&')).to.equal(true)
  })
})

describe('claims', () => {
  it('are taken as they are', () => {
    const said = { rooms: 'lobby', watch: ['a', 'b*'], admin: false, email: 'x' }
    expect(parseClaims('alice', said, 5)).to.deep.equal({
      ok: true,
      value: { user: 'alice', rooms: ['lobby'], watch: ['a', 'b*'], admin: false, expiresAt: 5 },
    })
  })
  for (const [user, said] of [
    ['', {}],
    [undefined, {}],
    ['\ud800', {}],
    ['alice', { rooms: [1] }],
    ['alice', { rooms: null }],
    ['alice', { watch: {} }],
    ['alice', { users: [''] }],
    ['alice', { admin: 1 }],
    ['alice', { presence: 'false' }],
  ] as const) {
    it(`are not guessed: ${JSON.stringify([user, said])}`, () => {
      expect(parseClaims(user, said).ok).to.equal(false)
    })
  }
})

describe('what somebody may read', () => {
  const lobby = grantByClaims({ user: 'mallory', rooms: ['lobby', 'team-*'] }, 'm1', POLICY)
  const watcher = grantByClaims(
    { user: 'w', rooms: [], watch: ['lobby'], users: ['a*'] },
    'w1',
    POLICY,
  )
  const anybody = grantByClaims({ user: 'plain' }, 'p1', POLICY)
  const admin = grantByClaims({ user: 'svc', admin: true }, 's1', POLICY)
  const guest = grantGuest('alice', { ...POLICY, defaultRooms: ['lobby'] })
  const local = grantEverybody('x', 'x1', false, 'allow')
  const grants = { lobby, watcher, anybody, admin, guest, local }
  const rows: readonly [topic: string, who: string][] = [
    ['presence/rooms/lobby', 'lobby watcher anybody admin guest local'],
    ['presence/rooms/lobby/members/bob', 'lobby watcher anybody admin guest local'],
    ['presence/rooms/team-1/events', 'lobby anybody admin local'],
    ['presence/rooms/secret/count', 'anybody admin local'],
    ['presence/rooms/%/count', 'admin local'],
    ['presence/users/mallory', 'lobby anybody admin local'],
    ['presence/users/alice/status', 'watcher anybody admin local'],
    ['presence/users/bob', 'anybody admin local'],
    ['presence/connections/mallory/m1', 'lobby admin local'],
    ['presence/connections/mallory/m2', 'admin local'],
    ['presence/bridge/status', 'lobby watcher anybody admin guest local'],
    ['presence/rollcall', 'lobby watcher anybody admin guest local'],
    ['presence/bridge/state/mallory', 'admin local'],
    ['presence/bridges/b', 'admin local'],
    ['presence/brokers/b', 'admin local'],
    ['presence/other', 'admin local'],
    ['presence', 'admin local'],
    ['app/x', 'lobby watcher anybody admin guest local'],
    ['dev/m1/x', 'lobby admin local'],
    ['presencex', 'admin local'],
    ['$SYS/b/new/clients', 'admin local'],
    ['$presence/nowhere', 'admin'],
  ]
  for (const [topic, who] of rows) {
    it(`${topic}: ${who}`, () => {
      const may = Object.entries(grants).filter(([, grant]) => mayRead('presence', topic, grant))
      expect(may.map(([name]) => name).join(' ')).to.equal(who)
    })
  }

  const filters: readonly [filter: string, who: string][] = [
    ['#', 'lobby watcher anybody admin guest local'],
    ['presence/rooms/+/events', 'lobby watcher anybody admin guest local'],
    ['presence/rooms/secret/+', 'anybody admin local'],
    ['presence/rooms/lobby/+/bob', 'lobby watcher anybody admin guest local'],
    ['presence/rooms/lobby/more/#', 'admin local'],
    ['presence/users/+', 'lobby watcher anybody admin guest local'],
    ['presence/users/bob/#', 'anybody admin local'],
    ['presence/connections/+/m1', 'lobby admin local'],
    ['presence/connections/mallory/m1', 'lobby admin local'],
    ['presence/bridge/+', 'lobby watcher anybody admin guest local'],
    ['presence/bridge/state/#', 'admin local'],
    ['+/rooms/secret', 'lobby watcher anybody admin guest local'],
    ['private/#', 'admin local'],
    ['+/m1/x', 'lobby watcher anybody admin guest local'],
    ['dev/m1/+', 'lobby admin local'],
    ['$SYS/#', 'admin local'],
    ['$presence/#', ''],
    ['$share/g/presence/rooms/lobby', ''],
  ]
  for (const [filter, who] of filters) {
    it(`by the filter ${filter}: ${who || 'nobody'}`, () => {
      const may = Object.entries(grants).filter(([, grant]) =>
        maySubscribe('presence', filter, grant),
      )
      expect(may.map(([name]) => name).join(' ')).to.equal(who)
    })
  }

  it('is found below a root of several levels, too', () => {
    expect(mayRead('a/presence', 'a/presence/rooms/lobby', watcher)).to.equal(true)
    expect(mayRead('a/presence', 'a/presence/rooms/secret', watcher)).to.equal(false)
    expect(maySubscribe('a/presence', 'a/+/rooms/secret', watcher)).to.equal(false)
    expect(maySubscribe('a/presence', '+/+/rooms/lobby', watcher)).to.equal(true)
  })
})

describe('what somebody may publish', () => {
  const identity = { user: 'mallory', client: 'm1', present: true, isBridge: false }
  const grant = grantByClaims({ user: 'mallory', rooms: ['lobby'] }, 'm1', POLICY)

  it('is its own document, and the application’s topics that are open', () => {
    const judge = (topic: string): unknown => judgeTopic('presence', topic, identity, grant)
    expect(judge('presence/connections/mallory/m1')).to.equal('own-document')
    expect(judge('app/x')).to.equal('allowed')
    expect(judge('dev/m1/x')).to.equal('allowed')
    expect(judge('dev/m2/x')).to.have.property('refused')
    expect(judge('presence/rooms/lobby')).to.have.property('refused')
    expect(judge('$SYS/x')).to.have.property('refused')
  })

  it('is no document with a room that it may not join', () => {
    const rooms = (names: string[]): unknown =>
      refuseRooms({ status: 'online', rooms: new Map(names.map((name) => [name, {}])) }, grant)
    expect(rooms([])).to.equal(undefined)
    expect(rooms(['lobby'])).to.equal(undefined)
    expect(rooms(['lobby', 'secret'])).to.equal('it may not join the room secret')
  })
})
