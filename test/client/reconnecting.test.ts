import { expect } from 'chai'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generate } from 'mqtt-packet'
import type { Page } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { describeTogether } from '../helpers/concurrently.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { startProgram } from '../helpers/process.ts'
import { watch } from '../helpers/presence-reader.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { hide, startBrowser } from './browser.ts'
import { isOnline, membersOf, waitFor } from './page-state.ts'
import { startSite } from './site.ts'

const LONG = process.env['CLIENT_LONG'] !== undefined
const STOPPED_MS = LONG ? 600_000 : 30_000
const GONE_MS = 60_000

/** Not before the test is over. */
const NEVER = { base: '10h', cap: '10h' }

describe('a page that lost its connection', function () {
  this.timeout(60_000)

  it('gets a token on the page before every attempt; one that fails is a failed attempt', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const browser = await startBrowser()
    const getToken = `globalThis.calls = 0, async () => {
      if (++calls === 1) throw new Error('logged out')
      return calls === 2 ? undefined : 'a token'
    }`
    const page = await browser.open(
      site.page({ user: 'alice', getToken: `(${getToken})`, backoff: { base: 50 }, csp: '' }),
    )
    await isOnline(page)
    expect(await page.evaluate('calls')).to.equal(3)
    expect(site.upgrades).to.equal(1)
    const messages = (await page.evaluate(
      `states.filter((s) => s.reason === 'token').map((s) => s.message)`,
    )) as string[]
    expect(messages.join()).to.contain('logged out').and.to.contain('not a string')
    site.setNetwork(false)
    await waitFor(page, `presence.state.state === 'reconnecting'`)
    site.setNetwork(true)
    await isOnline(page)
    expect(await page.evaluate('calls')).to.be.above(3)
  })

  it('stops when the broker refuses it, and says why', async () => {
    const { port, connects } = await refuseEverybody()
    const site = await startSite(port)
    const browser = await startBrowser()
    const page = await browser.open(site.page({ user: 'alice', backoff: { base: 20, cap: 20 } }))
    await waitFor(page, `presence.state.state === 'stopped'`)
    expect(await page.evaluate('presence.state')).to.deep.include({
      reason: 'refused',
      message: 'the broker says that this user may not connect (CONNACK 5)',
    })
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(connects()).to.equal(1)
  })

  it('stops after as many attempts as it may make', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    site.setNetwork(false)
    const browser = await startBrowser()
    const page = await browser.open(site.page({ user: 'alice', backoff: { base: 20, tries: 3 } }))
    await waitFor(page, `presence.state.state === 'stopped'`)
    expect(await page.evaluate('presence.state.reason')).to.equal('tries')
    expect(await page.evaluate('presence.state.failed')).to.equal(3)
  })

  for (const [title, wake] of [
    ['becomes visible', (page: Page) => page.bringToFront()],
    [
      'is told that the network is back',
      (page: Page) => page.evaluate(`void dispatchEvent(new Event('online'))`),
    ],
    [
      'is resumed',
      (page: Page) => page.evaluate(`void document.dispatchEvent(new Event('resume'))`),
    ],
  ] as const) {
    it(`tries again at once when it ${title}`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const browser = await startBrowser()
      const page = await browser.open(site.page({ user: 'alice', backoff: NEVER }))
      await isOnline(page)
      await hide(browser)
      site.setNetwork(false)
      await waitFor(page, `presence.state.state === 'reconnecting'`)
      await new Promise((resolve) => setTimeout(resolve, 1100))
      site.setNetwork(true)
      const began = performance.now()
      await wake(page)
      await isOnline(page)
      expect(performance.now() - began).to.be.below(2000)
    })
  }

  it('never mistakes its own leave for a lost connection', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const browser = await startBrowser()
    const page = await browser.open(site.page({ user: 'alice', backoff: { base: 10 } }))
    await isOnline(page)
    await page.evaluate('presence.leave()')
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(await page.evaluate('states.map((s) => s.state).slice(-2)')).to.deep.equal([
      'online',
      'stopped',
    ])
    expect(site.upgrades).to.equal(1)
  })

  it('is right after its server was started again while it was hidden', async () => {
    const first = await startProgram()
    const site = await startSite(first.httpPort)
    const browser = await startBrowser()
    const pages: Page[] = []
    for (const user of ['alice', 'bob']) {
      const page = await browser.open(site.page({ user, rooms: { lobby: { of: user } } }))
      await isOnline(page)
      pages.push(page)
    }
    for (const page of pages) await membersOf(page, 'lobby', ['alice', 'bob'])
    await hide(browser)
    for (const page of pages) await page.evaluate('events.length = 0')
    await first.stop()
    const second = await startProgram()
    const reader = await watch(second, 'presence/rooms/lobby')
    site.setTarget(second.httpPort)
    for (const page of pages) await membersOf(page, 'lobby', ['alice', 'bob'], 20_000)
    for (const page of pages) {
      expect(await page.evaluate('events')).to.deep.equal([])
      expect(await page.evaluate(`rooms.lobby.members.get('bob').data`)).to.deep.equal({
        of: 'bob',
      })
    }
    expect(reader.messages.length).to.be.above(0)
  })
})

describeTogether('a page that was away for long', STOPPED_MS + GONE_MS + 60_000, (scenario) => {
  scenario(
    `is right after ${GONE_MS / 1000} s without a network: nobody was seen to come or go`,
    async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const browser = await startBrowser()
      const page = await browser.open(site.page({ user: 'alice', rooms: { lobby: {} } }))
      await inRoom(program, 'bob')
      const carol = await inRoom(program, 'carol')
      await membersOf(page, 'lobby', ['alice', 'bob', 'carol'])
      await page.evaluate('events.length = 0')
      site.setNetwork(false)
      await waitFor(page, '!rooms.lobby.fresh')
      expect(await page.evaluate('rooms.lobby.members.size')).to.equal(3)
      await new Promise((resolve) => setTimeout(resolve, GONE_MS / 2))
      await inRoom(program, 'dave')
      await carol.leave()
      await new Promise((resolve) => setTimeout(resolve, GONE_MS / 2))
      site.setNetwork(true)
      await isOnline(page, 40_000)
      // The server still knows the room: nobody has to wait to be believed.
      await membersOf(page, 'lobby', ['alice', 'bob', 'dave'], 2000)
      // Only what has really happened.
      expect(await page.evaluate('events')).to.deep.equal([
        ['leave', 'carol'],
        ['join', 'dave'],
      ])
    },
  )

  scenario(`is right after its computer slept for ${STOPPED_MS / 1000} s`, async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const browser = await startBrowser()
    const page = await browser.open(
      site.page({ user: 'alice', rooms: { lobby: {} }, keepalive: '5s' }),
    )
    await inRoom(program, 'bob')
    await membersOf(page, 'lobby', ['alice', 'bob'])
    await page.evaluate('events.length = 0')
    const reader = await watch(program, 'presence/users/alice')
    browser.kill('SIGSTOP')
    await reader.next(({ text }) => text.includes('"offline"'), 20_000)
    await new Promise((resolve) => setTimeout(resolve, STOPPED_MS))
    const began = performance.now()
    browser.kill('SIGCONT')
    await reader.next(({ text }) => text.includes('"online"'), 10_000)
    const onlineMs = performance.now() - began
    await membersOf(page, 'lobby', ['alice', 'bob'])
    const exactMs = performance.now() - began
    console.log(
      `        online after ${onlineMs.toFixed(0)} ms, exact after ${exactMs.toFixed(0)} ms`,
    )
    expect(onlineMs).to.be.below(5000)
    const others = await page.evaluate(`events.filter(([, user]) => user !== 'alice')`)
    expect(others).to.deep.equal([])
  })
})

async function inRoom(
  program: { mqttPort: number; httpPort: number; host: string },
  user: string,
): ReturnType<typeof connectClient> {
  const client = await connectClient(program, { user })
  await client.say({ status: 'online', rooms: { lobby: {} } })
  return client
}

/** A broker that lets nobody in. */
async function refuseEverybody(): Promise<{ port: number; connects: () => number }> {
  let connects = 0
  const server = createServer()
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => {
    socket.once('message', () => {
      connects++
      socket.send(generate({ cmd: 'connack', returnCode: 5, sessionPresent: false }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTeardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, connects: () => connects }
}
