import { expect } from 'chai'
import {
  parseRoomDiff,
  parseRoomSnapshot,
  parseUserDocument,
  type Member,
} from '../../protocol/index.ts'
import { connectClient } from '../helpers/mqtt.ts'
import {
  isOffline,
  readRetained,
  watch,
  type Message,
  type Reader,
} from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { createRandom, type Random } from '../helpers/random.ts'
import { followRoom } from '../helpers/room-follower.ts'
import { Claims } from './soak/claims.ts'
import { Host } from './soak/host.ts'
import { GRACE, Person, ROOMS, type World } from './soak/person.ts'

const SECONDS = Number(process.env['PRESENCE_SOAK_SECONDS'] ?? 60)
const SEED = Number(process.env['PRESENCE_SOAK_SEED'] ?? Date.now() % 1_000_000)
const PEOPLE = 14
const HOSTS = 5
const OUTPUT = ['presence/users/+', 'presence/rooms/#']

const FLAGS = Object.entries(GRACE).flatMap(([cause, ms]) => [`--grace-${cause}`, `${ms}ms`])

describe(`a crowd at random, for ${SECONDS} s, seed ${SEED}`, function () {
  this.timeout((SECONDS + 90) * 1000)

  it('is shown as it is: nobody leaves who stays, and in the end all is true', async () => {
    const random = createRandom(SEED)
    const server = await startProgram({ flags: FLAGS })
    const reader = await watch(server, OUTPUT)
    const world: World = {
      server,
      hosts: await Promise.all(Array.from({ length: HOSTS }, () => Host.start())),
      claims: new Claims(),
      faults: [],
      counts: new Map(),
    }
    const people = Array.from(
      { length: PEOPLE },
      (_, i) => new Person(`user-${i}`, world, createRandom(SEED + 1000 * (i + 1))),
    )
    const readers = [reader]
    const until = performance.now() + SECONDS * 1000
    const fate = harm(world, people, random, until)
    const lives = people.map(async (person, i) => {
      const pace = createRandom(SEED + i)
      while (performance.now() < until) {
        await pause(20 + pace.below(500))
        await person.act()
      }
    })
    while (performance.now() < until) {
      await pause(Math.min(SECONDS * 200, until - performance.now() + 1))
      readers.push(await watch(server, OUTPUT, random.chance(0.5) ? 1 : 0))
    }
    await Promise.all([...lives, fate])

    // Somebody who goes after everybody has been given up by when they are.
    const last = await connectClient(server, { user: 'last-one' })
    last.cut()
    await reader.find(isOffline('last-one'), 10_000)
    await Promise.all(readers.map((each) => each.caughtUp(ROOMS)))
    for (const person of people) person.inspect()

    const name = `PRESENCE_SOAK_SEED=${SEED} after ${JSON.stringify([...world.counts])}`
    expect(world.faults, name).to.deep.equal([])
    expect(findFalsehoods(reader.messages, world.claims), name).to.deep.equal([])
    for (const each of readers) expect(findDisorder(each), name).to.deep.equal([])
    const retained = await readRetained(server, ...OUTPUT)
    for (const person of people) {
      const { connections, data, rooms } = person.truth()
      const document = parseUserDocument(retained.get(`presence/users/${person.user}`) ?? '')
      const status = connections > 0 ? 'online' : 'offline'
      expect(document, `${person.user}, ${name}`).to.include({ status, connections, data })
      for (const room of ROOMS) {
        const members = membersOf(retained, room)
        const shown = members.find(({ user }) => user === person.user)?.data
        expect(shown, `${person.user} in ${room}, ${name}`).to.equal(rooms.get(room))
      }
    }
    const left = (await server.metrics()).get('presence_broker_connections')
    const connections = people.reduce((sum, person) => sum + person.truth().connections, 0)
    expect(left, name).to.equal(connections + readers.length)
  })
})

/** Stops and kills processes of clients, now and then. */
async function harm(
  { hosts, counts }: World,
  people: readonly Person[],
  random: Random,
  until: number,
): Promise<void> {
  while (performance.now() < until) {
    await pause(500 + random.below(2000))
    const host = random.pick(hosts)
    const [name, ms] = random.pick([
      ['short freeze', 200 + random.below(1000)],
      ['freeze', 2500 + random.below(2500)],
      ['long freeze', 6500],
      ['kill', 0],
    ] as const)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    if (name === 'kill') {
      await host.replace(() => people.forEach((person) => person.lose(host)))
    } else {
      await host.freeze(
        ms,
        () => people.forEach((person) => person.freeze(host, ms)),
        () => Promise.all(people.map((person) => person.thaw(host, ms))),
      )
    }
  }
}

/** Messages that say of somebody who has been there all the time that it is not. */
function findFalsehoods(messages: readonly Message[], claims: Claims): string[] {
  return messages.flatMap(({ topic, text, at }) => {
    const [, kind, id = '', what] = topic.split('/')
    const isEvents = kind === 'rooms' && what === 'events'
    const isGone = kind === 'users' && parseUserDocument(text)?.status !== 'online'
    const left = isEvents ? (parseRoomDiff(text)?.left ?? []) : []
    return [...(isGone ? [id] : []), ...left.map(({ user }) => `${user} ${id}`)]
      .filter((key) => claims.holds(key, at))
      .map((key) => `${Math.round(at)} ${topic} ${text}; ${claims.describe(key, at)}`)
  })
}

/** What no reader may see, whatever happens: versions that fall, leaves without joins, gaps. */
function findDisorder(reader: Reader): string[] {
  const disorder: string[] = []
  const versions = new Map<string, number>()
  for (const { topic, text } of reader.messages) {
    const version =
      parseUserDocument(text)?.version ??
      (topic.endsWith('/events') ? undefined : parseRoomSnapshot(text)?.version)
    if (version === undefined) continue
    const before = versions.get(topic) ?? 0
    // What is retained may come once more to who subscribes while it is published.
    if (version < before) disorder.push(`${topic}: ${version} after ${before}`)
    versions.set(topic, version)
  }
  for (const room of ROOMS) {
    const topic = `presence/rooms/${room}`
    const { faults, replica } = followRoom(reader.messages, topic)
    disorder.push(...faults.map((fault) => `${room}: ${fault}`))
    if (replica?.version !== versions.get(topic)) disorder.push(`${room}: the copy is behind`)
  }
  return disorder
}

function membersOf(retained: ReadonlyMap<string, string>, room: string): readonly Member[] {
  const snapshot = parseRoomSnapshot(retained.get(`presence/rooms/${room}`) ?? '')
  return snapshot?.members ?? []
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
