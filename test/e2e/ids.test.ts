import { expect } from 'chai'
import { createTopics } from '../../protocol/index.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { json, readRetained, snapshotIn, watch, type Reader } from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'

/** Ids that have gone wrong somewhere. */
const IDS = [
  'a/b',
  '+',
  '#',
  'a+b#c',
  '%',
  '%2F',
  'a%zz',
  '/',
  '//',
  'with a space',
  ' padded ',
  '한국어 사용자',
  '👩‍👩‍👧‍👦 family',
  // One letter, as one code point and as two.
  '\u00e9',
  'e\u0301',
  '$SYS',
  'a.b*c>d',
  '"quoted" \\ and <b>',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'x'.repeat(200),
  '가'.repeat(200),
  '%/+#'.repeat(50),
]

/** Rooms are named in documents only, where control characters may be too. */
const ROOMS = [...IDS, 'a\tb\nc', '\u007f']

const topics = createTopics()

describe('any id', function () {
  this.timeout(30_000)

  for (const version of ['3.1.1', '5'] as const) {
    it(`is fine as a user, a client and a room: MQTT ${version}`, async () => {
      const server = await startProgram({ flags: ['--grace-closed', '0'] })
      const reader = await watch(server, ['presence/users/+', 'presence/rooms/#'])
      const clients = await Promise.all(
        IDS.map((id) => connectClient(server, { user: id, clientId: id, version })),
      )
      const rooms = Object.fromEntries(ROOMS.map((id) => [id, { in: id }]))
      await Promise.all(
        clients.map((client) => client.say({ status: 'online', rooms, data: rooms })),
      )
      await sizesAre(reader, IDS.length)
      await reader.caughtUp(['lobby'])

      const retained = await readRetained(server, 'presence/users/+', 'presence/rooms/#')
      for (const id of IDS) {
        const user = json(get(retained, topics.user(id)))
        expect(user, id).to.include({ user: id, status: 'online', connections: 1 })
        expect(Object.entries(user['data'] ?? {}), id).to.deep.equal(Object.entries(rooms))
      }
      for (const room of ROOMS) {
        const snapshot = snapshotIn(get(retained, topics.room(room)))
        expect(snapshot, room).to.include({ room, size: IDS.length })
        expect(snapshot.members?.map(({ user }) => user).toSorted(), room).to.deep.equal(
          IDS.toSorted(),
        )
        expect(get(retained, topics.roomCount(room)).text).to.equal(String(IDS.length))
        for (const user of IDS) {
          const member = json(get(retained, topics.member(room, user)))
          expect(member).to.deep.include({ user, data: { in: room } })
        }
      }

      await Promise.all(clients.map((client) => client.leave()))
      await sizesAre(reader, 0)
      await reader.caughtUp(['lobby'])
      for (const id of IDS) {
        expect(json({ text: reader.last(topics.user(id)) ?? '' }), id).to.include({
          user: id,
          status: 'offline',
          reason: 'left',
        })
      }
      for (const room of ROOMS) {
        expect(reader.last(topics.roomCount(room)), room).to.equal('0')
        for (const user of IDS) expect(reader.last(topics.member(room, user))).to.equal(undefined)
      }
      expect(server.log.filter(({ level }) => level !== 'info')).to.deep.equal([])
    })
  }

  it('that cannot be one is refused, and the server goes on', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/users/+')
    for (const version of ['3.1.1', '5'] as const) {
      for (const id of ['x'.repeat(257), '가'.repeat(257)]) {
        const outcome = await connectClient(server, { user: id, version }).then(
          () => 'let in',
          (error: Error) => error.message,
        )
        expect(outcome).to.match(/^Connection refused/)
      }
    }
    await connectClient(server, { user: 'alice' })
    await reader.next('presence/users/alice')
    expect(reader.messages).to.have.length(1)
  })
})

/** Resolves when every room has been this large. */
async function sizesAre(reader: Reader, size: number): Promise<void> {
  for (const room of ROOMS) {
    const count = topics.roomCount(room)
    await reader.find(({ topic, text }) => topic === count && text === String(size))
  }
}

/** The retained message on a topic. */
function get(retained: ReadonlyMap<string, string>, topic: string): { text: string } {
  const text = retained.get(topic)
  if (text === undefined) throw new Error(`nothing is retained on ${topic}`)
  return { text }
}
