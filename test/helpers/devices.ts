import mqtt, { type MqttClient } from 'mqtt'
import { createTopics, parseRoomDiff, parseTopic } from '../../protocol/index.ts'
import type { Store } from '../../bridge/index.ts'
import { onTeardown } from './teardown.ts'
import { eventually } from './within.ts'

/** Many plain devices on a foreign broker, which say nothing by which two of their words could be told apart. */
export interface Devices {
  /** One of them speaks: it is in these rooms, or it leaves. */
  say(user: string, rooms: readonly string[] | 'left' | 'closed'): void
  /** Resolves when the broker has everything. */
  said(): Promise<void>
  /** The rooms of each that is online. */
  readonly truth: ReadonlyMap<string, readonly string[]>
  /** How often each has come and gone. */
  readonly changes: ReadonlyMap<string, number>
  readonly users: readonly string[]
}

const topics = createTopics()

/** Connects them all over one socket. */
export async function connectDevices(url: string, count: number): Promise<Devices> {
  const client = await connect(url)
  const users = Array.from({ length: count }, (_, i) => `device-${i}`)
  const truth = new Map<string, readonly string[]>()
  const changes = new Map<string, number>()
  let sent: Promise<unknown>[] = []
  return {
    users,
    truth,
    changes,
    say(user, rooms) {
      const isOnline = typeof rooms !== 'string'
      if (isOnline !== truth.has(user)) changes.set(user, (changes.get(user) ?? 0) + 1)
      if (isOnline) truth.set(user, rooms)
      else truth.delete(user)
      const document = isOnline
        ? { status: 'online', rooms: Object.fromEntries(rooms.map((room) => [room, null])) }
        : { status: 'offline', ...(rooms === 'left' && { reason: rooms }) }
      const topic = topics.connection(user, 'device')
      sent.push(client.publishAsync(topic, JSON.stringify(document), { qos: 1 }))
    },
    async said() {
      const waiting = sent
      sent = []
      await Promise.all(waiting)
    },
  }
}

/** Reads the whole output plane, and finds fault with it. */
export interface Fold {
  readonly retained: ReadonlyMap<string, string>
  /** What must never be seen: a leave without a join, a second join. */
  readonly faults: readonly string[]
  /** What differs from the truth at this moment. */
  differences(devices: Devices): readonly string[]
  /** When each user's plain status went offline last, by `performance.now()`. */
  readonly offlineAt: ReadonlyMap<string, number>
}

/** Starts to read. */
export async function foldOutput(url: string): Promise<Fold> {
  const client = await connect(url)
  const retained = new Map<string, string>()
  const faults: string[] = []
  const members = new Map<string, Set<string>>()
  const versions = new Map<string, number>()
  const offlineAt = new Map<string, number>()

  function onEvents(room: string, text: string): void {
    const diff = parseRoomDiff(text)
    if (!diff) return void faults.push(`no diff: ${text}`)
    const last = versions.get(room) ?? 0
    // From a bridge that was taken for dead and has woken up: a reader drops what it has already.
    if (diff.version <= last) return
    versions.set(room, diff.version)
    const present = members.get(room) ?? new Set()
    members.set(room, present)
    for (const { user } of diff.left) {
      if (!present.delete(user)) faults.push(`${room}: ${user} left who had not joined`)
    }
    for (const { user } of diff.joined) {
      if (present.has(user)) faults.push(`${room}: ${user} joined twice`)
      present.add(user)
    }
  }

  client.on('message', (topic, payload) => {
    const text = payload.toString()
    const parsed = parseTopic('presence', topic)
    if (parsed?.kind === 'roomEvents') return onEvents(parsed.room, text)
    if (parsed?.kind === 'userStatus' && text === 'offline') {
      offlineAt.set(parsed.user, performance.now())
    }
    if (text === '') retained.delete(topic)
    else retained.set(topic, text)
  })
  await client.subscribeAsync('presence/#', { qos: 1 })

  return {
    retained,
    faults,
    offlineAt,
    differences({ users, truth }) {
      const found: string[] = []
      const expect = (what: string, wanted: unknown, got: unknown): void => {
        if (wanted !== got) found.push(`${what}: expected ${String(wanted)}, got ${String(got)}`)
      }
      const rooms = new Map<string, Set<string>>()
      for (const topic of retained.keys()) {
        const parsed = parseTopic('presence', topic)
        if (parsed?.kind === 'room') rooms.set(parsed.room, new Set())
        if (parsed?.kind === 'member' && !truth.get(parsed.user)?.includes(parsed.room)) {
          found.push(`${topic} is there`)
        }
      }
      for (const user of users) {
        const status = retained.get(topics.userStatus(user)) ?? 'offline'
        expect(user, truth.has(user) ? 'online' : 'offline', status)
        const document = JSON.parse(retained.get(topics.user(user)) ?? '{"status":"offline"}')
        expect(`${user}, document`, truth.has(user) ? 'online' : 'offline', document.status)
        for (const room of truth.get(user) ?? []) {
          rooms.set(room, (rooms.get(room) ?? new Set()).add(user))
          expect(`${user} in ${room}`, true, retained.has(topics.member(room, user)))
        }
      }
      for (const [room, wanted] of rooms) {
        const snapshot = JSON.parse(retained.get(topics.room(room)) ?? '{"members":[]}')
        const got = (snapshot.members as { user: string }[]).map(({ user }) => user)
        expect(room, [...wanted].toSorted().join(), got.toSorted().join())
        expect(`${room}, count`, String(wanted.size), retained.get(topics.roomCount(room)) ?? '0')
        expect(
          `${room}, fold`,
          [...wanted].toSorted().join(),
          [...(members.get(room) ?? [])].toSorted().join(),
        )
      }
      return found
    },
  }
}

/** Waits until what readers have is the truth. */
export async function untilTrue(fold: Fold, devices: Devices, withinMs = 5000): Promise<void> {
  const isTrue = (): boolean => fold.differences(devices).length === 0
  await eventually('the output is the truth', isTrue, withinMs).catch((error: unknown) => {
    const differences = fold.differences(devices).slice(0, 10).join('\n  ')
    throw new Error(`the output differs from the truth:\n  ${differences}`, { cause: error })
  })
}

/** Who came and went other than once for each time that it did; from what the store remembers. */
export async function miscounted(store: Store, { users, changes }: Devices): Promise<string[]> {
  const found: string[] = []
  for (const user of users) {
    const { entries } = await store.userActivity(user, 0)
    const wanted = changes.get(user) ?? 0
    if (entries.length !== wanted) found.push(`${user}: expected ${wanted}, got ${entries.length}`)
    for (const [i, { to }] of entries.entries()) {
      if (to === entries[i - 1]?.to) found.push(`${user}: ${to} twice`)
    }
  }
  return found
}

async function connect(url: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, { clean: true })
  onTeardown(() => client.endAsync(true))
  return client
}
