import { expect } from 'chai'
import { describeTogether } from '../helpers/concurrently.ts'
import type { ClientOptions } from '../helpers/connect-options.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { isOffline, json, watch, type Reader } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { startClientProcess } from '../helpers/remote-clients.ts'
import { WAYS } from './ways.ts'

/** What a shared, busy machine may add to a bound, in milliseconds. */
const NOISE_MS = 250

/** How much earlier than computed something may seem to happen: clocks are read at two places. */
const EARLY_MS = 50

/** One user for each way to connect. */
const ALL: readonly ClientOptions[] = WAYS.map((way) => ({
  ...way,
  user: `MQTT ${way.version} over ${way.transport}`,
}))

/** A server that grants late WebSockets 3 s of tolerance and nobody a grace, and somebody who reads. */
async function startTolerant(): Promise<{ server: Program; reader: Reader }> {
  const flags = ['--keepalive-tolerance', '3s', '--grace-timeout', '0', '--grace-closed', '0']
  const server = await startProgram({ flags })
  return { server, reader: await watch(server, 'presence/users/+') }
}

describeTogether('a client that goes without a word', 40_000, (scenario) => {
  scenario('is offline after grace.closed when it is killed', async () => {
    const server = await startProgram({ flags: ['--grace-closed', '1s'] })
    const reader = await watch(server, 'presence/users/+')
    const child = await startClientProcess()
    await Promise.all(ALL.map((options) => child.connect(server, options)))
    await reader.caughtUp()

    const killed = performance.now()
    child.kill('SIGKILL')
    for (const { user = '' } of ALL) {
      const gone = await reader.find(isOffline(user))
      expect(json(gone)).to.include({ reason: 'closed' })
      expect(gone.at - killed, user).to.be.within(1000, 1500 + NOISE_MS)
    }
  })

  scenario('is offline at 1.5 keepalives and grace.timeout when it freezes', async () => {
    const server = await startProgram({ flags: ['--grace-timeout', '1s', '--grace-closed', '0'] })
    const reader = await watch(server, 'presence/users/+')
    const child = await startClientProcess()
    const clients = await Promise.all(
      ALL.map((options) => child.connect(server, { ...options, keepalive: 2 })),
    )
    await reader.caughtUp()

    const spoke = performance.now()
    await Promise.all(clients.map((client) => client.say({ status: 'online' })))
    const frozen = performance.now()
    child.kill('SIGSTOP')
    for (const { user = '' } of ALL) {
      const gone = await reader.find(isOffline(user), 10_000)
      expect(json(gone)).to.include({ reason: 'timeout' })
      expect(gone.at - spoke, user).to.be.above(3000 + 1000 - EARLY_MS)
      expect(gone.at - frozen, user).to.be.below(3000 + 1000 + 500 + NOISE_MS)
    }
  })

  scenario('is held by a grace that is longer, while others come and go', async () => {
    const server = await startProgram({ flags: ['--grace-closed', '1s'] })
    const reader = await watch(server, 'presence/users/+')
    const alice = await connectClient(server, { user: 'alice' })
    const bob = await connectClient(server, { user: 'bob' })
    alice.cut()
    await alice.closed
    await bob.leave()
    const bobLeft = await reader.find(isOffline('bob'))
    const aliceLeft = await reader.find(isOffline('alice'))
    expect(aliceLeft.at - bobLeft.at).to.be.above(500)
  })

  scenario('is offline after grace.unload when its page said that it is unloading', async () => {
    const server = await startProgram({ flags: ['--grace-unload', '400ms'] })
    const reader = await watch(server, 'presence/users/+')
    for (const { user = '', ...way } of ALL) {
      const tab = await connectClient(server, { ...way, user })
      const said = performance.now()
      await tab.say({ status: 'offline', reason: 'unload' })
      tab.cut()
      const gone = await reader.find(isOffline(user))
      expect(json(gone), user).to.include({ reason: 'unload' })
      expect(gone.at - said, user).to.be.within(400, 900 + NOISE_MS)
    }
  })

  scenario('is noticed at once though it goes as soon as it is let in', async () => {
    const server = await startProgram({ flags: ['--grace-closed', '0'] })
    const reader = await watch(server, 'presence/users/+')
    for (let i = 0; i < 30; i++) {
      const user = `user-${i}`
      const client = await connectClient(server, { ...WAYS[i % WAYS.length], user })
      const cut = performance.now()
      client.cut()
      const gone = await reader.find(isOffline(user))
      expect(gone.at - cut, user).to.be.below(500)
    }
  })

  scenario('is kept as a late WebSocket that answers pings, for the tolerance', async () => {
    const { server, reader } = await startTolerant()
    const versions = ['3.1', '3.1.1', '5'] as const
    const tabs = await Promise.all(
      versions.map((version) => connectRaw(server, { user: version, version, keepalive: 2 })),
    )
    for (const { user, spokeAt } of tabs) {
      const gone = await reader.find(isOffline(user), 10_000)
      expect(json(gone)).to.include({ reason: 'timeout' })
      // 1.5 keepalives and the tolerance.
      expect(gone.at - spokeAt, user).to.be.within(6000 - EARLY_MS, 6500 + NOISE_MS)
    }
  })

  scenario('is not late again when its keepalive comes within the tolerance', async () => {
    const { server, reader } = await startTolerant()
    const tab = await connectRaw(server, { user: 'alice', keepalive: 1 })
    const silent = await connectRaw(server, { user: 'bob', keepalive: 1 })
    const timer = setTimeout(() => tab.ping(), 3500)
    try {
      const bobGone = await reader.find(isOffline('bob'), 10_000)
      expect(bobGone.at - silent.spokeAt).to.be.within(4500 - EARLY_MS, 5000 + NOISE_MS)
      const aliceGone = await reader.find(isOffline('alice'), 10_000)
      expect(aliceGone.at - tab.spokeAt).to.be.within(4500 - EARLY_MS, 5000 + NOISE_MS)
      expect(aliceGone.at - bobGone.at).to.be.above(3000)
    } finally {
      clearTimeout(timer)
    }
  })

  scenario('gets no tolerance when its document declines it', async () => {
    const { server, reader } = await startTolerant()
    const tab = await connectRaw(server, { user: 'alice', keepalive: 2 })
    await tab.say({ status: 'online', tolerance: 0 })
    const gone = await reader.find(isOffline('alice'), 10_000)
    expect(json(gone)).to.include({ reason: 'timeout' })
    expect(gone.at - tab.spokeAt).to.be.within(3000 - EARLY_MS, 3500 + NOISE_MS)
  })

  scenario('gets no tolerance when its pongs stop', async () => {
    const { server, reader } = await startTolerant()
    const tab = await connectRaw(server, { user: 'alice', keepalive: 2, pongs: false })
    const gone = await reader.find(isOffline('alice'), 10_000)
    expect(json(gone)).to.include({ reason: 'timeout' })
    expect(gone.at - tab.spokeAt).to.be.within(3000 - EARLY_MS, 3500 + NOISE_MS)
  })
})
