import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { UserDocument } from '../../protocol/index.ts'
import { describeTogether } from '../helpers/concurrently.ts'
import type { Address } from '../helpers/connect-options.ts'
import { runMosquitto } from '../helpers/mosquitto-client.ts'
import { startMosquitto, type Mosquitto } from '../helpers/mosquitto.ts'
import { connectPeer } from '../helpers/mqtt-peer.ts'
import { connectClient, type Client } from '../helpers/mqtt.ts'
import {
  isOffline,
  json,
  readRetained,
  snapshotIn,
  watch,
  type Message,
  type Reader,
} from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

interface Scene {
  readonly mosquitto: Mosquitto
  readonly broker: Address
  readonly bridge: Program
  readonly reader: Reader
}

const OUTPUT = ['presence/users/#', 'presence/rooms/#']
const GRACE_BROKER_MS = 1500

function addressOf({ port }: Mosquitto): Address {
  return { host: '127.0.0.1', mqttPort: port, httpPort: 0 }
}

function startBridge({ url }: Mosquitto, id = 'b'): Promise<Program> {
  const graces = ['--grace-closed', '700ms', '--grace-broker', `${GRACE_BROKER_MS}ms`]
  const flags = ['--broker', url, '--bridge-id', id, ...graces]
  return startProgram({ command: 'bridge', flags })
}

async function setScene(...settings: readonly string[]): Promise<Scene> {
  const mosquitto = await startMosquitto(undefined, ...settings)
  onTeardown(() => mosquitto.close())
  const broker = addressOf(mosquitto)
  const bridge = await startBridge(mosquitto)
  return { mosquitto, broker, bridge, reader: await watch(broker, OUTPUT) }
}

/** A client as PROTOCOL.md wants it on a foreign broker: its will and its birth name the connection. */
interface Guest extends Client {
  readonly connection: string
  /** Publishes its birth, or a later state. */
  tell(rooms: readonly string[]): Promise<void>
  /** Says that it leaves, and goes: a clean DISCONNECT alone would say nothing here. */
  goodbye(): Promise<void>
}

async function connectGuest(
  broker: Address,
  user: string,
  rooms: readonly string[] = ['lobby'],
): Promise<Guest> {
  const connection = randomUUID()
  const clientId = `${user}-phone`
  const topic = `presence/connections/${user}/${clientId}`
  const payload = JSON.stringify({ status: 'offline', connection })
  const client = await connectClient(broker, { user, clientId, will: { topic, payload } })
  let seq = 0
  let last = rooms
  const tell = (now: readonly string[]): Promise<void> => {
    last = now
    const places = Object.fromEntries(now.map((room) => [room, null]))
    return client.say({ status: 'online', connection, seq: ++seq, rooms: places })
  }
  client.mqtt.on('message', () => {
    tell(last).catch(() => {})
  })
  await client.mqtt.subscribeAsync('presence/rollcall', { qos: 1 })
  await tell(rooms)
  return {
    ...client,
    connection,
    tell,
    async goodbye() {
      await client.say({ status: 'offline', connection, reason: 'left' })
      await client.leave()
    },
  }
}

/** A device that knows plain words only, and retains its availability, as devices do. */
function startDevice(broker: Address, name: string): ReturnType<typeof runMosquitto> {
  const topic = `presence/connections/${name}/${name}`
  const will = ['--will-topic', topic, '--will-payload', 'offline', '--will-retain']
  const args = ['-i', name, '-u', name, '-q', '1', '-r', '-t', topic, '-l']
  const device = runMosquitto('mosquitto_pub', broker, ...args, ...will)
  device.write('online')
  return device
}

/** What was shown of a user that says, or begins to say, that it is not there. */
function falsehoods(messages: readonly Message[], users: readonly string[]): string[] {
  const isFalse = ({ topic, text }: Message): boolean =>
    users.some(
      (user) =>
        (topic.startsWith(`presence/users/${user}`) && /"offline"|^offline$|^$/.test(text)) ||
        (topic.endsWith(`/members/${user}`) && text === ''),
    )
  return messages.filter(isFalse).map(({ topic, text }) => `${topic} ${text}`)
}

async function usersOnline(broker: Address): Promise<string[]> {
  const retained = await readRetained(broker, 'presence/users/+/status')
  return [...retained]
    .filter(([, text]) => text === 'online')
    .map(([topic]) => topic.split('/')[2] ?? '')
    .toSorted()
}

async function membersOf(broker: Address, room: string): Promise<string[]> {
  const retained = await readRetained(broker, `presence/rooms/${room}`)
  const { members = [] } = snapshotIn({ text: retained.get(`presence/rooms/${room}`) ?? '' })
  return members.map(({ user }) => user).toSorted()
}

describeTogether('a bridge on Mosquitto', 60_000, (scenario) => {
  scenario('shows who comes, joins, and goes with a word, without one, and again', async () => {
    const { broker, reader } = await setScene()
    const alice = await connectGuest(broker, 'alice')
    expect(json(await reader.next('presence/users/alice'))).to.include({ status: 'online' })
    await reader.next('presence/rooms/lobby/members/alice')

    const said = performance.now()
    await alice.goodbye()
    const left = await reader.next(isOffline('alice'))
    expect(json(left)).to.include({ reason: 'left' })
    expect(left.at - said).to.be.below(300)

    const again = await connectGuest(broker, 'alice')
    await reader.next('presence/users/alice')
    const cut = performance.now()
    again.cut()
    const gone = await reader.next(isOffline('alice'))
    expect(json(gone)).to.include({ reason: 'closed' })
    expect(gone.at - cut).to.be.within(700, 1500)
  })

  scenario('tells readers of version 5 also which version a topic is of', async () => {
    const { mosquitto, broker } = await setScene()
    const reader = await connectPeer(mosquitto.port, { version: 5 })
    await reader.subscribe([{ topic: 'presence/users/ann/#', qos: 0 }])
    await connectGuest(broker, 'ann')
    await eventually('both topics', () => reader.messages.length >= 2)
    const [document, status] = reader.messages
    const { version } = JSON.parse(String(document?.payload)) as UserDocument
    for (const message of [document, status]) {
      expect({ ...message?.properties?.userProperties }).to.deep.equal({ version: `${version}` })
    }
  })

  scenario('shows nothing of a reconnect, a takeover, or a late will', async () => {
    const { broker, reader } = await setScene()
    const first = await connectGuest(broker, 'alice')
    await reader.next('presence/rooms/lobby/events')
    const before = reader.messages.length
    first.cut()
    await first.closed
    // Reconnected within the grace, then taken over while it is up: Mosquitto publishes the will.
    const second = await connectGuest(broker, 'alice')
    const third = await connectGuest(broker, 'alice')
    await second.closed
    for (const { connection } of [first, second]) {
      await third.say({ status: 'offline', connection })
    }
    const last = await connectGuest(broker, 'last', [])
    await reader.find('presence/users/last')
    last.cut()
    await reader.find(isOffline('last'))
    const shown = reader.messages.slice(before)
    expect(shown.filter(({ topic }) => !topic.includes('/last'))).to.deep.equal([])
  })

  scenario('takes plain words, retained as devices retain them', async () => {
    const { broker, reader } = await setScene()
    const lamp = startDevice(broker, 'lamp')
    expect((await reader.next('presence/users/lamp/status')).text).to.equal('online')
    const killed = performance.now()
    lamp.kill('SIGKILL')
    const gone = await reader.next(isOffline('lamp'))
    expect(json(gone)).to.include({ reason: 'closed' })
    expect(gone.at - killed).to.be.within(700, 1500)
    startDevice(broker, 'lamp')
    expect(json(await reader.next('presence/users/lamp'))).to.include({ status: 'online' })
  })

  scenario('is right after it was killed, whatever happened meanwhile', async () => {
    const { mosquitto, broker, reader, ...scene } = await setScene()
    let { bridge } = scene
    const lamp = startDevice(broker, 'lamp')
    startDevice(broker, 'heater')
    const stays = await connectGuest(broker, 'stays', ['lobby', 'den'])
    const leaves = await connectGuest(broker, 'leaves')
    const dies = await connectGuest(broker, 'dies')
    for (const user of ['lamp', 'heater', 'stays', 'leaves', 'dies']) {
      await reader.find(`presence/users/${user}`)
    }
    await reader.find('presence/rooms/lobby/members/dies')
    const before = reader.messages.length

    bridge.kill('SIGKILL')
    await bridge.exited
    await stays.tell(['den', 'attic'])
    await leaves.goodbye()
    dies.cut()
    await connectGuest(broker, 'comes')
    lamp.kill('SIGKILL')
    await lamp.exited
    bridge = await startBridge(mosquitto)
    expect((await reader.find(isOffline('leaves'))).at).to.be.above(0)
    expect(json(await reader.find(isOffline('dies')))).to.include({ reason: 'closed' })
    expect(json(await reader.find(isOffline('lamp')))).to.include({ reason: 'closed' })
    await reader.find('presence/rooms/attic/events')

    expect(await usersOnline(broker)).to.deep.equal(['comes', 'heater', 'stays'])
    expect(await membersOf(broker, 'lobby')).to.deep.equal(['comes'])
    expect(await membersOf(broker, 'den')).to.deep.equal(['stays'])
    expect(await membersOf(broker, 'attic')).to.deep.equal(['stays'])
    const shown = reader.messages
      .slice(before)
      .filter(({ topic }) => topic !== 'presence/rooms/lobby/members/stays')
    expect(falsehoods(shown, ['stays', 'heater'])).to.deep.equal([])
  })

  scenario(
    'that starts from nothing asks who is there, and gives up who does not answer',
    async () => {
      const { mosquitto, broker, bridge, reader } = await setScene()
      await connectGuest(broker, 'alice')
      startDevice(broker, 'heater')
      const ghost = await connectGuest(broker, 'ghost')
      for (const user of ['alice', 'heater', 'ghost']) await reader.find(`presence/users/${user}`)
      await reader.find('presence/rooms/lobby/members/ghost')
      bridge.kill('SIGKILL')
      await bridge.exited
      ghost.cut()
      await ghost.closed
      const before = reader.messages.length

      // Under another name it has no session, so the ghost's will was for nobody.
      await startBridge(mosquitto, 'another')
      const started = performance.now()
      const gone = await reader.find(isOffline('ghost'), 15_000)
      expect(json(gone)).to.include({ reason: 'broker' })
      // Five seconds to answer, and the grace.
      expect(gone.at - started).to.be.below(5000 + GRACE_BROKER_MS + 1500)
      expect(falsehoods(reader.messages.slice(before), ['alice', 'heater'])).to.deep.equal([])
      expect(await usersOnline(broker)).to.deep.equal(['alice', 'heater'])
      expect(await membersOf(broker, 'lobby')).to.deep.equal(['alice'])
    },
  )

  scenario('ends nobody whose grace ends while it is stuck, and who comes back then', async () => {
    const { mosquitto, broker, reader } = await setScene()
    const back = await connectGuest(broker, 'back')
    const gone = await connectGuest(broker, 'gone')
    await reader.find('presence/rooms/lobby/members/gone')
    // An end before, from which the bridge learns that the broker answers.
    const first = await connectGuest(broker, 'first')
    first.cut()
    await reader.find(isOffline('first'))
    back.cut()
    gone.cut()
    await new Promise((resolve) => setTimeout(resolve, 500))
    mosquitto.signal('SIGSTOP')
    const returned = connectGuest(broker, 'back')
    await new Promise((resolve) => setTimeout(resolve, 2000))
    mosquitto.signal('SIGCONT')
    const continued = performance.now()
    await returned
    const offline = await reader.find(isOffline('gone'))
    expect(offline.at - continued).to.be.within(1000, 3500)
    expect(falsehoods(reader.messages, ['back'])).to.deep.equal([])
    expect(await membersOf(broker, 'lobby')).to.deep.equal(['back'])
  })

  scenario('knows who was lost when it is killed and comes back with its sessions', async () => {
    const lasting = ['persistence true', 'autosave_interval 1', 'autosave_on_changes true']
    const { mosquitto, broker, reader } = await setScene(...lasting, 'sys_interval 1')
    await connectGuest(broker, 'back')
    await connectGuest(broker, 'gone')
    await reader.find('presence/rooms/lobby/members/gone')
    // It has said for how long it is up, and has written down its sessions.
    await new Promise((resolve) => setTimeout(resolve, 3500))
    await mosquitto.restart()
    const restarted = performance.now()
    const later = await watch(broker, OUTPUT)
    await connectGuest(broker, 'back')
    const gone = await later.find(isOffline('gone'), 15_000)
    expect(json(gone)).to.include({ reason: 'broker' })
    expect(gone.at - restarted).to.be.below(5000 + GRACE_BROKER_MS + 3000)
    expect(falsehoods(later.messages, ['back'])).to.deep.equal([])
    expect(await usersOnline(broker)).to.deep.equal(['back'])
  })

  scenario('outlives it: who is back within the grace never blinked', async () => {
    const { mosquitto, broker, reader } = await setScene()
    await connectGuest(broker, 'back')
    await connectGuest(broker, 'gone')
    await reader.find('presence/rooms/lobby/members/gone')
    const version = Number(json(await reader.find('presence/users/back'))['version'])
    await mosquitto.close()
    const second = await startMosquitto(mosquitto.port)
    onTeardown(() => second.close())
    const restarted = performance.now()
    const later = await watch(broker, OUTPUT)
    await connectGuest(broker, 'back')

    const gone = await later.find(isOffline('gone'), 15_000)
    expect(json(gone)).to.include({ reason: 'broker' })
    expect(gone.at - restarted).to.be.below(5000 + GRACE_BROKER_MS + 3000)
    expect(falsehoods(later.messages, ['back'])).to.deep.equal([])
    expect(await usersOnline(broker)).to.deep.equal(['back'])
    expect(await membersOf(broker, 'lobby')).to.deep.equal(['back'])
    const retained = await readRetained(broker, 'presence/users/back', 'presence/bridge/status')
    const back = json({ text: retained.get('presence/users/back') ?? '{}' })
    expect(Number(back['version'])).to.be.at.least(version)
    expect(retained.get('presence/bridge/status')).to.equal('online')
  })
})
