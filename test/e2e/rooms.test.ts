import { expect } from 'chai'
import { connectClient } from '../helpers/mqtt.ts'
import {
  diffIn,
  isOffline,
  json,
  readRetained,
  snapshotIn,
  watch,
} from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { WAYS } from './ways.ts'

const LOBBY = 'presence/rooms/lobby'

describe('a room', function () {
  this.timeout(20_000)

  it('is joined, updated and left by the connection document', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/rooms/#')
    const alice = await connectClient(server, { user: 'alice' })

    await alice.say({ status: 'online', rooms: { lobby: { seat: 1 } } })
    const joined = json(await reader.next(`${LOBBY}/events`))
    const member = json(await reader.find(`${LOBBY}/members/alice`))
    expect(member).to.have.all.keys('user', 'status', 'since', 'data')
    expect(member).to.deep.include({ user: 'alice', status: 'online', data: { seat: 1 } })
    expect(joined).to.deep.equal({
      room: 'lobby',
      version: joined['version'],
      previous: 0,
      size: 1,
      joined: [member],
      updated: [],
      left: [],
    })
    expect(json({ text: reader.last(LOBBY) ?? '' })).to.deep.equal({
      room: 'lobby',
      version: joined['version'],
      size: 1,
      members: [member],
    })
    expect(reader.last(`${LOBBY}/count`)).to.equal('1')

    await alice.say({ status: 'online', rooms: { lobby: { seat: 2 } } })
    const updated = json(await reader.next(`${LOBBY}/events`))
    const moved = { ...member, data: { seat: 2 } }
    expect(updated).to.deep.equal({
      room: 'lobby',
      version: updated['version'],
      previous: joined['version'],
      size: 1,
      joined: [],
      updated: [moved],
      left: [],
    })
    expect(json({ text: reader.last(LOBBY) ?? '' })).to.deep.include({ members: [moved] })
    expect(json({ text: reader.last(`${LOBBY}/members/alice`) ?? '' })).to.deep.equal(moved)

    await alice.say({ status: 'online', rooms: {} })
    const left = diffIn(await reader.next(`${LOBBY}/events`))
    expect(left).to.deep.equal({
      room: 'lobby',
      version: left.version,
      previous: updated['version'],
      size: 0,
      joined: [],
      updated: [],
      left: [
        {
          user: 'alice',
          reason: 'left',
          since: member['since'],
          lastSeen: left.left[0]?.lastSeen,
        },
      ],
    })
    const cleared = reader.messages.findLast(({ topic }) => topic === `${LOBBY}/members/alice`)
    expect(cleared?.text).to.equal('')
    expect(json({ text: reader.last(LOBBY) ?? '' })).to.deep.include({ size: 0, members: [] })
    expect(reader.last(`${LOBBY}/count`)).to.equal('0')
    // A reader who comes now finds an empty room, and no member.
    const retained = await readRetained(server, 'presence/rooms/#')
    expect([...retained.keys()].toSorted()).to.deep.equal([LOBBY, `${LOBBY}/count`])
  })

  it('is joined by a document that its client says right before it goes', async () => {
    const server = await startProgram({ flags: ['--grace-closed', '0'] })
    const reader = await watch(server, 'presence/connections/+/+')
    const users = Array.from({ length: 40 }, (_, i) => `user-${i}`)
    for (const [i, user] of users.entries()) {
      const client = await connectClient(server, { ...WAYS[i % WAYS.length], user })
      await client.say({ status: 'online', rooms: { lobby: null } })
      if (i % 2 === 0) client.cut()
      else await client.leave()
      await client.closed
    }
    await reader.caughtUp()
    for (const user of users) {
      const said = reader.messages.filter(({ topic }) => topic.split('/')[2] === user)
      const order = said.map((message) => json(message)).map((d) => d['rooms'] ?? d['status'])
      expect(order, user).to.deep.equal(['online', { lobby: null }, 'offline'])
    }
  })

  it('is unchanged by a document that names no rooms', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/rooms/#')
    const alice = await connectClient(server, { user: 'alice' })
    await alice.say({ status: 'online', rooms: { lobby: null } })
    await reader.next(`${LOBBY}/events`)
    const before = reader.messages.length
    await alice.say({ status: 'online', data: { mood: 'fine' } })
    await alice.say('online')
    await reader.caughtUp()
    expect(reader.messages).to.have.length(before)
  })

  it('is the same after a document that is said again', async () => {
    const server = await startProgram()
    const reader = await watch(server, ['presence/rooms/#', 'presence/users/alice/#'])
    const alice = await connectClient(server, { user: 'alice' })
    const document = { status: 'online', rooms: { lobby: { a: 1, b: 2 } }, data: [1, 2] }
    await alice.say(document)
    await reader.next(`${LOBBY}/events`)
    await reader.caughtUp()
    const before = reader.messages.length
    await alice.say(document)
    await alice.say({ ...document, rooms: { lobby: { b: 2, a: 1 } } })
    await reader.caughtUp()
    expect(
      reader.messages.slice(before).filter(({ topic }) => !/marker/.test(topic)),
    ).to.deep.equal([])
  })

  it('shows who is away, which the plain status does not', async () => {
    const server = await startProgram()
    const reader = await watch(server, ['presence/rooms/#', 'presence/users/#'])
    const alice = await connectClient(server, { user: 'alice' })
    await alice.say({ status: 'online', rooms: { lobby: 'x' } })
    await reader.next(`${LOBBY}/events`)
    await alice.say('away')
    const away = diffIn(await reader.next(`${LOBBY}/events`))
    expect(away.updated).to.have.length(1)
    expect(away.updated[0]).to.deep.include({ user: 'alice', status: 'away', data: 'x' })
    await reader.caughtUp()
    expect(json({ text: reader.last('presence/users/alice') ?? '' })).to.include({ status: 'away' })
    const words = reader.messages.filter(({ topic }) => topic === 'presence/users/alice/status')
    expect(words.map(({ text }) => text)).to.deep.equal(['online'])
  })

  it('holds a user until the last connection that named it is gone, with its data', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/rooms/#')
    const laptop = await connectClient(server, { user: 'alice', clientId: 'laptop' })
    await laptop.say({ status: 'online', rooms: { lobby: 'laptop', den: null } })
    await reader.next(`${LOBBY}/events`)
    const phone = await connectClient(server, { user: 'alice', clientId: 'phone' })
    await phone.say({ status: 'online', rooms: { lobby: 'phone' } })
    expect(json(await reader.next(`${LOBBY}/members/alice`))).to.include({ data: 'phone' })
    await phone.leave()
    expect(json(await reader.next(`${LOBBY}/members/alice`))).to.include({ data: 'laptop' })
    await laptop.leave()
    expect((await reader.next(`${LOBBY}/members/alice`)).text).to.equal('')
    const sizes = reader.messages.filter(({ topic }) => topic === `${LOBBY}/count`)
    expect(sizes.map(({ text }) => text)).to.deep.equal(['1', '0'])
  })

  it('is left with the reason of the connection that ended, after its own grace', async () => {
    const server = await startProgram({
      flags: ['--grace-closed', '300ms', '--room-grace', 'doc-*:closed=1200ms'],
    })
    const reader = await watch(server, ['presence/rooms/+/events', 'presence/users/+'])
    const alice = await connectClient(server, { user: 'alice' })
    await alice.say({ status: 'online', rooms: { lobby: null, 'doc-7': null } })
    await reader.caughtUp(['lobby', 'doc-7'])
    const isLeave = (room: string) => (m: { topic: string; text: string }) =>
      m.topic === `presence/rooms/${room}/events` && /"left":\[\{"user":"alice"/.test(m.text)
    const cut = performance.now()
    alice.cut()
    const lobby = await reader.find(isLeave('lobby'))
    const doc = await reader.find(isLeave('doc-7'))
    const user = await reader.find(isOffline('alice'))
    expect(diffIn(lobby).left[0]).to.include({ reason: 'closed' })
    expect(lobby.at - cut).to.be.within(300, 800)
    expect(doc.at - cut).to.be.within(1200, 1700)
    expect(user.at - cut).to.be.within(1200, 1700)
  })

  it('above the announce limit says its size only, and its members again below it', async () => {
    const server = await startProgram({ flags: ['--announce-limit', '2'] })
    const reader = await watch(server, [LOBBY, `${LOBBY}/events`])
    const clients = []
    for (const user of ['a', 'b', 'c']) {
      const client = await connectClient(server, { user })
      await client.say({ status: 'online', rooms: { lobby: user } })
      await reader.next(`${LOBBY}/events`)
      clients.push(client)
    }
    expect(json({ text: reader.last(LOBBY) ?? '' })).to.have.all.keys(
      'room',
      'version',
      'size',
      'complete',
    )
    expect(json({ text: reader.last(LOBBY) ?? '' })).to.include({ size: 3, complete: false })
    expect(json({ text: reader.last(`${LOBBY}/events`) ?? '' })).to.deep.include({
      size: 3,
      complete: false,
      joined: [],
    })
    await clients[2]?.leave()
    await reader.next(`${LOBBY}/events`)
    const { members: users } = snapshotIn({ text: reader.last(LOBBY) ?? '' })
    expect(users?.map(({ user }) => user).toSorted()).to.deep.equal(['a', 'b'])
    const members = await readRetained(server, `${LOBBY}/members/+`)
    expect([...members.keys()].toSorted()).to.deep.equal([
      `${LOBBY}/members/a`,
      `${LOBBY}/members/b`,
    ])
  })

  it('never shows who joined and left between two batches', async () => {
    const server = await startProgram({
      flags: ['--room-pace-min', '700ms', '--room-pace-max', '700ms'],
    })
    const reader = await watch(server, 'presence/rooms/#')
    const [alice, bob, carol] = await Promise.all(
      ['alice', 'bob', 'carol'].map((user) => connectClient(server, { user })),
    )
    await alice?.say({ status: 'online', rooms: { lobby: null } })
    await reader.next(`${LOBBY}/events`)
    await bob?.say({ status: 'online', rooms: { lobby: null } })
    await bob?.say({ status: 'online', rooms: {} })
    await carol?.say({ status: 'online', rooms: { lobby: null } })
    const diff = diffIn(await reader.next(`${LOBBY}/events`))
    expect(diff.joined.map(({ user }) => user)).to.deep.equal(['carol'])
    expect(diff.left).to.deep.equal([])
    expect(reader.messages.filter(({ text }) => text.includes('bob'))).to.deep.equal([])
  })
})
