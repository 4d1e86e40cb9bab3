import {
  createTopics,
  parseRoomSnapshot,
  parseTopic,
  parseUserDocument,
} from '../../protocol/index.ts'
import type { Life } from './history.ts'
import type { Violation } from './judge.ts'
import type { Reading } from './reading.ts'

const topics = createTopics()

/**
 * Compares what is retained on one broker with the truth, when nothing has been broken or done for long:
 * connections, rooms, members, sizes, the copies of readers, and nobody else. Pure.
 */
export function compareExactly(
  lives: readonly Life[],
  retained: ReadonlyMap<string, string>,
  reading: Reading,
  at: number,
): Violation[] {
  const found: Violation[] = []
  const expect = (key: string, what: string, wanted: unknown, got: unknown): void => {
    if (wanted === got) return
    const detail = `${what}: expected ${String(wanted)}, got ${String(got)}`
    found.push({ invariant: 'not exact in the end', key, at, reader: reading.name, detail })
  }
  const up = lives.filter(({ upAt, end }) => upAt !== null && end === null)
  const users = new Set(lives.map(({ user }) => user))
  for (const topic of retained.keys()) {
    const parsed = parseTopic('presence', topic)
    if (parsed?.kind === 'user') users.add(parsed.user)
  }
  for (const user of users) {
    const connections = up.filter((life) => life.user === user).length
    const text = retained.get(topics.user(user))
    const document = text === undefined ? undefined : parseUserDocument(text)
    const status = connections > 0 ? 'online' : 'offline'
    expect(user, 'status', status, document?.status ?? 'offline')
    expect(user, 'plain status', status, retained.get(topics.userStatus(user)) ?? 'offline')
    expect(user, 'connections', connections, document?.connections ?? 0)
  }
  for (const [room, { sure, unsure }] of expectRooms(up, retained)) {
    const snapshot = parseRoomSnapshot(retained.get(topics.room(room)) ?? '')
    const members = membersOf(retained, room)
    const listed = (snapshot?.members ?? []).map(({ user }) => user).toSorted()
    const wanted = [...sure, ...members.filter((user) => unsure.has(user))].toSorted()
    expect(room, 'members', wanted.join(), members.join())
    expect(room, 'snapshot', wanted.join(), listed.join())
    expect(room, 'size', wanted.length, snapshot?.size ?? 0)
    expect(room, 'count', String(wanted.length), retained.get(topics.roomCount(room)) ?? '0')
    const replica = reading.rooms.get(room)
    expect(
      room,
      "the reader's copy",
      wanted.join(),
      [...(replica?.members.keys() ?? [])].toSorted().join(),
    )
    expect(room, "the copy's version", snapshot?.version, replica?.version)
  }
  return found
}

/** Who is in which room for certain, and who may be: a document was never acknowledged. */
function expectRooms(
  up: readonly Life[],
  retained: ReadonlyMap<string, string>,
): Map<string, { sure: Set<string>; unsure: Set<string> }> {
  const rooms = new Map<string, { sure: Set<string>; unsure: Set<string> }>()
  const ofRoom = (room: string): { sure: Set<string>; unsure: Set<string> } => {
    let entry = rooms.get(room)
    if (!entry) rooms.set(room, (entry = { sure: new Set(), unsure: new Set() }))
    return entry
  }
  for (const topic of retained.keys()) {
    const parsed = parseTopic('presence', topic)
    if (parsed?.kind === 'room' || parsed?.kind === 'member') ofRoom(parsed.room)
  }
  for (const { user, said } of up) {
    const acknowledged = said.findLastIndex(({ ackedAt }) => ackedAt !== null)
    const later = said.slice(acknowledged + 1)
    for (const room of said[acknowledged]?.rooms ?? []) {
      const stays = later.every(({ rooms: named }) => named.includes(room))
      ofRoom(room)[stays ? 'sure' : 'unsure'].add(user)
    }
    for (const { rooms: named } of later) for (const room of named) ofRoom(room).unsure.add(user)
  }
  for (const { sure, unsure } of rooms.values()) for (const user of sure) unsure.delete(user)
  return rooms
}

function membersOf(retained: ReadonlyMap<string, string>, room: string): string[] {
  return [...retained.keys()]
    .flatMap((topic) => {
      const parsed = parseTopic('presence', topic)
      return parsed?.kind === 'member' && parsed.room === room ? [parsed.user] : []
    })
    .toSorted()
}
