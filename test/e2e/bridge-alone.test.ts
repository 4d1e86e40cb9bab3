import { expect } from 'chai'
import { parseUserDocument } from '../../protocol/index.ts'
import { describeTogether } from '../helpers/concurrently.ts'
import { freePort } from '../helpers/free-port.ts'
import { connectClient, type Client } from '../helpers/mqtt.ts'
import {
  isOffline,
  json,
  readRetained,
  snapshotIn,
  watch,
  type Reader,
} from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { createRandom } from '../helpers/random.ts'
import { eventually } from '../helpers/within.ts'

const ROOMS = ['lobby', 'den', 'attic']
const USERS = Array.from({ length: 16 }, (_, i) => `user-${i}`)

function startBridge(broker: Program): Promise<Program> {
  const url = `mqtt://127.0.0.1:${broker.mqttPort}`
  const flags = ['--broker', url, '--bridge-id', 'b', '--grace-closed', '500ms']
  return startProgram({ command: 'bridge', flags: [...flags, '--grace-broker', '1500ms'] })
}

/** Users as they should be shown: online in these rooms, or not at all. */
class People {
  readonly #broker: Program
  readonly #clients = new Map<string, Client>()
  readonly #rooms = new Map<string, readonly string[]>()
  /** Who has been online, and in which rooms, since `remember` was called. */
  readonly #steady = new Map<string, ReadonlySet<string>>()

  constructor(broker: Program) {
    this.#broker = broker
  }

  isOnline(user: string): boolean {
    return this.#clients.has(user)
  }

  async come(user: string): Promise<void> {
    this.#clients.set(user, await connectClient(this.#broker, { user, clientId: `${user}-phone` }))
    this.#rooms.set(user, [])
  }

  async move(user: string, rooms: readonly string[]): Promise<void> {
    const places = Object.fromEntries(rooms.map((room) => [room, user]))
    await this.#clients.get(user)?.say({ status: 'online', rooms: places })
    this.#rooms.set(user, rooms)
    const steady = this.#steady.get(user)
    if (steady) this.#steady.set(user, new Set(rooms.filter((room) => steady.has(room))))
  }

  async go(user: string, how: 'leave' | 'cut'): Promise<void> {
    const client = this.#clients.get(user)
    this.#clients.delete(user)
    this.#rooms.delete(user)
    this.#steady.delete(user)
    await client?.[how]()
  }

  remember(): void {
    for (const [user, rooms] of this.#rooms) this.#steady.set(user, new Set(rooms))
  }

  /** What was shown of people who stayed that cannot be. */
  falsehoods(messages: Reader['messages']): string[] {
    return messages.flatMap((message) => {
      const [, kind, id = '', what, member = ''] = message.topic.split('/')
      if (kind === 'users' && this.#steady.has(id) && /"offline"|^offline$|^$/.test(message.text)) {
        return [`${message.topic} ${message.text}`]
      }
      const left = what === 'members' && message.text === ''
      return left && this.#steady.get(member)?.has(id) ? [`${member} left ${id}`] : []
    })
  }

  /** How the output plane differs from what should be shown; nothing when it is right. */
  async differences(): Promise<string[]> {
    const retained = await readRetained(this.#broker, 'presence/users/+', 'presence/rooms/#')
    const wrong: string[] = []
    for (const user of USERS) {
      const text = retained.get(`presence/users/${user}`)
      const status = parseUserDocument(text ?? '')?.status ?? 'offline'
      const should = this.isOnline(user) ? 'online' : 'offline'
      if (status !== should) wrong.push(`${user} is ${status}, not ${should}`)
    }
    for (const room of ROOMS) {
      const should = USERS.filter((user) => this.#rooms.get(user)?.includes(room)).toSorted()
      const members = [...retained.keys()]
        .filter((topic) => topic.startsWith(`presence/rooms/${room}/members/`))
        .map((topic) => topic.split('/').at(-1) ?? '')
        .filter((user) => !user.startsWith('marker-'))
      const text =
        retained.get(`presence/rooms/${room}`) ??
        `{"room":"${room}","version":0,"members":[],"size":0}`
      const snapshot = snapshotIn({ text })
      const inSnapshot = (snapshot.members ?? []).map(({ user }) => user)
      for (const shown of [members.toSorted(), inSnapshot.toSorted()]) {
        if (shown.join() !== should.join())
          wrong.push(`${room}: ${shown.join()}, not ${should.join()}`)
      }
      if (snapshot.size !== should.length) wrong.push(`${room}: size ${snapshot.size}`)
    }
    return wrong
  }
}

describeTogether('a bridge that runs alone', 60_000, (scenario) => {
  scenario(
    'is exactly right each time after it was killed, whatever happened meanwhile',
    async () => {
      const seed = Number(process.env['PRESENCE_TEST_SEED'] ?? Date.now() % 1_000_000)
      const random = createRandom(seed)
      const broker = await startProgram({ command: 'broker' })
      let bridge = await startBridge(broker)
      const reader = await watch(broker, ['presence/users/#', 'presence/rooms/#'])
      const status = await watch(broker, 'presence/bridge/status')
      const people = new People(broker)

      async function stir(acts: number): Promise<void> {
        for (let i = 0; i < acts; i++) {
          const user = random.pick(USERS)
          if (!people.isOnline(user)) {
            await people.come(user)
            if (random.chance(0.5)) continue
          } else if (random.chance(0.4)) {
            await people.go(user, random.pick(['leave', 'cut'] as const))
            continue
          }
          await people.move(
            user,
            ROOMS.filter(() => random.chance(0.5)),
          )
        }
      }

      async function settle(when: string): Promise<void> {
        let wrong: string[] = []
        await eventually(
          `seed ${seed}: all is right ${when}`,
          async () => (wrong = await people.differences()).length === 0,
          8000,
        ).catch((error: Error) => {
          throw new Error(`${error.message}: ${wrong.join('; ')}`)
        })
      }

      for (let round = 1; round <= 5; round++) {
        await stir(20)
        await settle(`before round ${round}`)
        const before = reader.messages.length
        people.remember()
        bridge.kill('SIGKILL')
        await bridge.exited
        expect((await status.next(({ text }) => text === 'offline')).text).to.equal('offline')
        await stir(random.below(25))
        bridge = await startBridge(broker)
        expect((await status.next(({ text }) => text === 'online')).text).to.equal('online')
        await settle(`after round ${round}`)
        const shown = reader.messages.slice(before)
        expect(people.falsehoods(shown), `seed ${seed}, round ${round}`).to.deep.equal([])
      }
    },
  )

  scenario('is right though more has happened than the broker keeps for it', async () => {
    const broker = await startProgram({ command: 'broker' })
    const bridge = await startBridge(broker)
    const people = new People(broker)
    for (const user of USERS) await people.come(user)
    for (const user of USERS) await people.move(user, ['lobby'])
    await eventually('all are there', async () => (await people.differences()).length === 0)
    bridge.kill('SIGKILL')
    await bridge.exited
    // Those who go first are forgotten first.
    for (const user of USERS.slice(0, 4)) await people.go(user, 'leave')
    for (let i = 0; i < 120; i++) {
      const room = ROOMS[i % ROOMS.length] ?? ''
      await Promise.all(USERS.slice(4).map((user) => people.move(user, [room])))
    }
    await startBridge(broker)
    await eventually('all is right', async () => (await people.differences()).length === 0, 8000)
  })

  scenario(
    'shows nothing when it was killed, is back at once, and nothing has happened',
    async () => {
      const broker = await startProgram({ command: 'broker' })
      let bridge = await startBridge(broker)
      const reader = await watch(broker, ['presence/users/#', 'presence/rooms/#'])
      const people = new People(broker)
      for (const user of USERS) await people.come(user)
      for (const user of USERS) await people.move(user, ['lobby'])
      await reader.caughtUp(['lobby'])
      await eventually('all are there', async () => (await people.differences()).length === 0)
      for (let i = 0; i < 2; i++) {
        const before = reader.messages.length
        bridge.kill('SIGKILL')
        await bridge.exited
        bridge = await startBridge(broker)
        // A stranger who comes and is given up has waited for longer than any grace.
        const last = await connectClient(broker, { user: `last-${i}` })
        await reader.find(`presence/users/last-${i}`)
        last.cut()
        await reader.find(isOffline(`last-${i}`))
        await reader.caughtUp()
        const shown = reader.messages.slice(before).filter(({ topic }) => !topic.includes('last-'))
        expect(shown).to.deep.equal([])
      }
    },
  )

  scenario(
    'ends nobody whose grace ends while its broker is stuck, and who comes back then',
    async () => {
      const broker = await startProgram({ command: 'broker' })
      await startBridge(broker)
      const reader = await watch(broker, ['presence/users/#', 'presence/rooms/#'])
      const connect = async (user: string): Promise<Client> => {
        const client = await connectClient(broker, { user, clientId: user })
        await client.say({ status: 'online', rooms: { lobby: user } })
        return client
      }
      const back = await connect('back')
      const gone = await connect('gone')
      await reader.find('presence/rooms/lobby/members/gone')
      back.cut()
      gone.cut()
      await new Promise((resolve) => setTimeout(resolve, 350))
      broker.kill('SIGSTOP')
      const returned = connect('back')
      await new Promise((resolve) => setTimeout(resolve, 2000))
      broker.kill('SIGCONT')
      const continued = performance.now()
      await returned
      const offline = await reader.find(isOffline('gone'))
      expect(offline.at - continued).to.be.within(1000, 3500)
      await reader.caughtUp(['lobby'])
      const shown = reader.messages.filter(
        ({ topic, text }) => topic.includes('/back') && !/"online"|^online$/.test(text),
      )
      expect(shown).to.deep.equal([])
    },
  )

  scenario(
    'that outlives its broker holds who comes back, and gives up who does not, with reason broker',
    async () => {
      const mqttPort = await freePort()
      const first = await startProgram({ command: 'broker', mqttPort })
      const bridge = await startBridge(first)
      for (const user of ['back', 'gone']) {
        const client = await connectClient(first, { user, clientId: user })
        await client.say({ status: 'online', rooms: { lobby: user }, data: { of: user } })
      }
      const before = await watch(first, ['presence/users/#', 'presence/rooms/#'])
      await before.caughtUp(['lobby'])
      const version = Number(json(await before.find('presence/users/back'))['version'])

      first.kill('SIGKILL')
      await first.exited
      const second = await startProgram({ command: 'broker', mqttPort })
      const restarted = performance.now()
      const reader = await watch(second, ['presence/users/#', 'presence/rooms/#'])
      const client = await connectClient(second, { user: 'back', clientId: 'back' })
      await client.say({ status: 'online', rooms: { lobby: 'back' }, data: { of: 'back' } })

      const gone = await reader.find(isOffline('gone'), 20_000)
      expect(json(gone)).to.include({ reason: 'broker' })
      // It is lost when its broker has not been heard for 10 s; the grace is 1.5 s, the bridge looks for
      // its own broker once a second.
      expect(gone.at - restarted).to.be.below(10_000 + 1500 + 1500)
      await reader.caughtUp(['lobby'])
      const falsehoods = reader.messages.filter(
        ({ topic, text }) =>
          (topic === 'presence/users/back' && text.includes('"offline"')) ||
          (topic === 'presence/users/back/status' && text !== 'online') ||
          (topic === 'presence/rooms/lobby/members/back' && text === '') ||
          (topic === 'presence/rooms/lobby/events' && /"left":\[[^\]]*"user":"back"/.test(text)),
      )
      expect(falsehoods).to.deep.equal([])

      // What the broker forgot is there again for whoever asks.
      const retained = await readRetained(second, 'presence/#')
      const back = json({ text: retained.get('presence/users/back') ?? '{}' })
      expect(back).to.deep.include({ status: 'online', connections: 1, data: { of: 'back' } })
      expect(Number(back['version'])).to.be.at.least(version)
      expect(retained.get('presence/users/back/status')).to.equal('online')
      expect(retained.get('presence/users/gone/status')).to.equal('offline')
      expect(retained.get('presence/bridge/status')).to.equal('online')
      const snapshot = snapshotIn({ text: retained.get('presence/rooms/lobby') ?? '' })
      const users = (snapshot.members ?? []).map(({ user }) => user)
      expect(users.filter((user) => !user.startsWith('marker-'))).to.deep.equal(['back'])
      expect((await bridge.metrics()).get('presence_bridge_brokers')).to.equal(1)
    },
  )
})
