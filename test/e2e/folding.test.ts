import { expect } from 'chai'
import { connectClient } from '../helpers/mqtt.ts'
import { watch, type Reader } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { createRandom } from '../helpers/random.ts'
import { followRoom } from '../helpers/room-follower.ts'
import { parseRoomSnapshot } from '../../protocol/index.ts'

const ROOM = 'presence/rooms/busy'

/** Reads a room as PROTOCOL.md says: the events first, then the snapshot. */
async function follow(server: Program, qos: 0 | 1): Promise<Reader> {
  const reader = await watch(server, `${ROOM}/events`, qos)
  await reader.subscribe(ROOM)
  return reader
}

describe('a reader who subscribes at any moment', () => {
  it('holds an exact copy of the room by its diffs', async function () {
    this.timeout(30_000)
    const seed = Number(process.env['PRESENCE_TEST_SEED'] ?? Date.now() % 1_000_000)
    const random = createRandom(seed)
    const server = await startProgram({
      flags: ['--room-pace-min', '5ms', '--grace-closed', '100ms'],
    })
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, i) => connectClient(server, { user: `user-${i}` })),
    )
    const readers: Reader[] = []
    for (let round = 0; round < 400; round++) {
      const acts = Array.from({ length: 1 + random.below(4) }, () =>
        random.pick(clients).say({
          status: random.chance(0.2) ? 'away' : 'online',
          rooms: random.chance(0.6) ? { busy: random.below(3) } : {},
        }),
      )
      if (random.chance(0.05)) {
        readers.push(await follow(server, random.chance(0.5) ? 1 : 0))
      }
      await Promise.all(acts)
    }
    expect(readers, `seed ${seed}`).to.have.length.above(5)

    for (const [i, reader] of readers.entries()) {
      await reader.caughtUp(['busy'])
      const { replica, applied, faults } = followRoom(reader.messages, ROOM)
      const name = `reader ${i} of seed ${seed}`
      expect(faults, name).to.deep.equal([])
      expect(applied, name).to.be.above(0)
      const snapshot = parseRoomSnapshot(reader.last(ROOM) ?? '')
      expect(replica?.version, name).to.be.at.least(snapshot?.version ?? Number.NaN)
    }
  })
})

describe('a retained message that is followed at once by a plain one', function () {
  this.timeout(20_000)

  for (const qos of [0, 1] as const) {
    it(`arrives, and so does the plain one, 200 times of 200: QoS ${qos}`, async () => {
      const server = await startProgram()
      const readers = await Promise.all(([0, 1] as const).map((q) => watch(server, 'pair/#', q)))
      const writer = await connectClient(server, { user: 'writer' })
      for (let i = 0; i < 200; i++) {
        writer.mqtt.publish('pair/retained', String(i), { retain: true, qos })
        writer.mqtt.publish('pair/plain', String(i))
      }
      await writer.publish('pair/end', '')
      const all = Array.from({ length: 200 }, (_, i) => String(i))
      for (const reader of readers) {
        await reader.find('pair/end')
        for (const name of ['pair/retained', 'pair/plain']) {
          const got = reader.messages.filter(({ topic }) => topic === name)
          expect(got.map(({ text }) => text)).to.deep.equal(all)
        }
      }
    })
  }
})
