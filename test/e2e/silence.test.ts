import { expect } from 'chai'
import { connectClient, type Client } from '../helpers/mqtt.ts'
import { isOffline, json, watch, type Message, type Reader } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { startClientProcess } from '../helpers/remote-clients.ts'

/** Where everybody is. */
const LOBBY = { status: 'online', rooms: { lobby: { color: 'red' } }, data: { name: 'Alice' } }

interface Scene {
  readonly server: Program
  readonly reader: Reader
  /**
   * Everything that was published on the output plane since the scene was set, by when every grace that
   * began before this call is over: somebody who goes now has been given up too.
   */
  readonly shown: () => Promise<readonly Message[]>
}

/** A server where `arrive` has happened and was seen. */
async function setScene(
  flags: readonly string[],
  arrive: (server: Program) => Promise<unknown>,
): Promise<Scene> {
  const server = await startProgram({ flags })
  const reader = await watch(server, ['presence/users/#', 'presence/rooms/#'])
  await arrive(server)
  await reader.caughtUp(['lobby'])
  // The marker has left the room again.
  await reader.find(({ topic, text }) => topic.endsWith('/events') && /"left":\[\{/.test(text))
  await reader.caughtUp()
  const before = reader.messages.length

  return {
    server,
    reader,
    async shown() {
      const last = await connectClient(server, { user: 'last-one' })
      last.cut()
      await reader.find(isOffline('last-one'), 10_000)
      // What the room was still to say comes before its next member.
      const after = reader.messages.length
      await reader.caughtUp(['lobby'])
      const late = reader.messages.slice(after).filter(isAboutAlice)
      const messages = reader.messages.slice(before, after)
      return [...messages.filter(({ topic }) => !topic.includes('last-one')), ...late]
    },
  }
}

/** Whether anything happened to alice: the room's whole state repeats her whatever happens. */
function isAboutAlice({ topic, text }: Message): boolean {
  return topic.includes('/alice') || (topic.endsWith('/events') && text.includes('"alice"'))
}

async function arriveInLobby(server: Program, client: object): Promise<Client> {
  const alice = await connectClient(server, { user: 'alice', ...client })
  await alice.say(LOBBY)
  return alice
}

/** The connections of alice that were shown, in order. */
function counts(messages: readonly Message[]): unknown[] {
  return messages
    .filter(({ topic }) => topic === 'presence/users/alice')
    .map((message) => json(message)['connections'])
}

describe('nothing is shown', function () {
  this.timeout(20_000)

  const graces = ['--grace-closed', '700ms', '--grace-timeout', '700ms', '--grace-unload', '700ms']

  for (const version of ['3.1', '3.1.1', '5'] as const) {
    it(`of a client that reconnects within the grace: MQTT ${version}`, async () => {
      const client = { version, clientId: 'phone' }
      const { server, shown } = await setScene(graces, async (to) => {
        const alice = await arriveInLobby(to, client)
        alice.cut()
        await alice.closed
      })
      await arriveInLobby(server, client)
      expect(await shown()).to.deep.equal([])
    })
  }

  it('of a client that reconnects and says nothing, but that it is there', async () => {
    let alice: Client | undefined
    const { server, shown } = await setScene(graces, async (to) => {
      alice = await connectClient(to, { user: 'alice', clientId: 'phone' })
    })
    for (let i = 0; i < 5; i++) {
      alice?.cut()
      await alice?.closed
      alice = await connectClient(server, { user: 'alice', clientId: 'phone' })
    }
    expect(await shown()).to.deep.equal([])
  })

  for (const version of ['3.1', '3.1.1', '5'] as const) {
    it(`of a takeover by the same client id: MQTT ${version}`, async () => {
      const client = { version, clientId: 'phone' }
      let first: Client | undefined
      const { server, shown } = await setScene(graces, async (to) => {
        first = await arriveInLobby(to, client)
      })
      await arriveInLobby(server, client)
      await first?.closed
      expect(await shown()).to.deep.equal([])
    })
  }

  it('of a takeover where there is no grace at all', async () => {
    const flags = ['--grace-closed', '0', '--grace-timeout', '0']
    let alice: Client | undefined
    const { server, shown } = await setScene(flags, async (to) => {
      alice = await connectClient(to, { user: 'alice', clientId: 'phone' })
    })
    for (let i = 0; i < 10; i++) {
      const before = alice
      alice = await connectClient(server, { user: 'alice', clientId: 'phone' })
      await before?.closed
    }
    expect(await shown()).to.deep.equal([])
  })

  it('of a refresh: a new client id, and the old socket closes', async () => {
    let before: Client | undefined
    const { server, shown } = await setScene(graces, async (to) => {
      before = await arriveInLobby(to, { clientId: 'tab-1' })
    })
    for (let i = 2; i < 6; i++) {
      before?.cut()
      await before?.closed
      before = await arriveInLobby(server, { clientId: `tab-${i}`, transport: 'websocket' })
    }
    expect(await shown()).to.deep.equal([])
  })

  it('of a refresh whose page said that it is unloading', async () => {
    let before: Client | undefined
    const { server, shown } = await setScene(graces, async (to) => {
      before = await arriveInLobby(to, { clientId: 'tab-1' })
    })
    await before?.say({ status: 'offline', reason: 'unload' })
    before?.cut()
    await before?.closed
    await arriveInLobby(server, { clientId: 'tab-2' })
    expect(await shown()).to.deep.equal([])
  })

  it('of a page that comes back from the back/forward cache, its socket still open', async () => {
    let alice: Client | undefined
    const { shown } = await setScene(graces, async (to) => {
      alice = await arriveInLobby(to, { clientId: 'tab-1' })
    })
    await alice?.say({ status: 'offline', reason: 'unload' })
    await alice?.say(LOBBY)
    expect(await shown()).to.deep.equal([])
  })

  it('of the late end of a connection that its client has replaced', async () => {
    const child = await startClientProcess()
    const { server, shown } = await setScene(graces, async (to) => {
      const frozen = await child.connect(to, { user: 'alice', clientId: 'phone', keepalive: 1 })
      await frozen.say(LOBBY)
    })
    child.kill('SIGSTOP')
    await arriveInLobby(server, { clientId: 'phone' })
    child.kill('SIGCONT')
    expect(await shown()).to.deep.equal([])
  })
})

describe('only the number of connections is shown', function () {
  this.timeout(20_000)

  it('of the second and the third connection of a user', async () => {
    const graces = ['--grace-closed', '300ms']
    const { server, reader, shown } = await setScene(graces, (to) =>
      arriveInLobby(to, { clientId: 'laptop' }),
    )
    const phone = await arriveInLobby(server, { clientId: 'phone', version: '3.1.1' })
    const watchClock = await arriveInLobby(server, { clientId: 'watch', transport: 'websocket' })
    await reader.caughtUp()
    await phone.leave()
    watchClock.cut()
    const messages = await shown()
    expect(messages.map(({ topic }) => topic)).to.deep.equal(
      messages.map(() => 'presence/users/alice'),
    )
    expect(messages.map((message) => json(message)['status'])).to.not.include('offline')
    expect(counts(messages)).to.deep.equal([2, 3, 2, 1])
  })

  it('of a frozen tab that times out while another one is open', async () => {
    const flags = ['--grace-timeout', '300ms', '--grace-closed', '300ms']
    const child = await startClientProcess()
    const { server, reader, shown } = await setScene(flags, async (to) => {
      const frozen = await child.connect(to, { user: 'alice', clientId: 'tab-1', keepalive: 1 })
      await frozen.say(LOBBY)
    })
    child.kill('SIGSTOP')
    await arriveInLobby(server, { clientId: 'tab-2' })
    await reader.find((m) => counts([m])[0] === 2)
    await reader.next((m) => m.topic === 'presence/users/alice' && counts([m])[0] === 2)
    await reader.next((m) => m.topic === 'presence/users/alice' && counts([m])[0] === 1)
    expect(counts(await shown())).to.deep.equal([2, 1])
  })
})
