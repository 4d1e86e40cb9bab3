import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { startProgram } from '../helpers/process.ts'
import { isOffline, json, watch, type Reader } from '../helpers/presence-reader.ts'
import { startBrowser, type TestBrowser } from './browser.ts'
import { isOnline, membersOf, waitFor } from './page-state.ts'
import { startSite } from './site.ts'

describe('tabs that share a worker', function () {
  this.timeout(90_000)

  it('are one connection, each with its own rooms; the last one to go ends it', async () => {
    const { site, reader, browser } = await start()
    const one = await browser.open(site.page({ user: 'alice', rooms: { lobby: { n: 1 } } }))
    await isOnline(one)
    const two = await browser.open(
      site.page({ user: 'alice', rooms: { lobby: { n: 2 }, garden: {} } }),
    )
    await membersOf(two, 'garden', ['alice'])
    await membersOf(two, 'lobby', ['alice'])
    expect(await two.evaluate('presence.worker')).to.equal('shared')
    expect(site.upgrades).to.equal(1)
    expect(dataIn(await reader.find(isMember('lobby', 'alice', '"n":2')))).to.deep.equal({ n: 2 })

    await two.close()
    await reader.next(
      ({ topic, text }) => /garden\/members\/alice/.test(topic) && text === '',
      4000,
    )
    expect(reader.messages.filter(isOffline('alice'))).to.deep.equal([])
    await membersOf(one, 'lobby', ['alice'])

    await one.close()
    await reader.next(isOffline('alice'), 4000)
    expect(site.upgrades).to.equal(1)
  })

  it('may leave one by one, at once', async () => {
    const { site, reader, browser } = await start()
    const one = await browser.open(site.page({ user: 'alice', rooms: { lobby: {} } }))
    const two = await browser.open(site.page({ user: 'alice', rooms: { garden: {} } }))
    await membersOf(one, 'lobby', ['alice'])
    await membersOf(two, 'garden', ['alice'])
    await two.evaluate('presence.leave()')
    await reader.next(
      ({ topic, text }) => /garden\/members\/alice/.test(topic) && text === '',
      1000,
    )
    await one.evaluate('presence.leave()')
    await reader.next(isOffline('alice'), 1000)
  })

  it('are reloaded without a leave or a join', async () => {
    const { site, reader, browser } = await start()
    const one = await browser.open(site.page({ user: 'alice', rooms: { lobby: {} } }))
    const two = await browser.open(site.page({ user: 'alice', rooms: { garden: {} } }))
    await membersOf(one, 'lobby', ['alice'])
    await membersOf(two, 'garden', ['alice'])
    await reader.caughtUp()
    const before = reader.messages.length
    for (let i = 0; i < 5; i++) {
      await one.reload()
      await membersOf(one, 'lobby', ['alice'])
      await two.reload()
      await membersOf(two, 'garden', ['alice'])
    }
    await new Promise((resolve) => setTimeout(resolve, 3000))
    await reader.caughtUp()
    const since = reader.messages.slice(before).filter(({ topic }) => topic.includes('alice'))
    expect(since.map(({ topic, text }) => `${topic} ${text}`)).to.deep.equal([])
    expect(site.upgrades).to.equal(1)
  })

  it('notice one that crashes by its lock', async () => {
    const { site, reader, browser } = await start()
    const one = await browser.open(site.page({ user: 'alice', rooms: { lobby: {} } }))
    await membersOf(one, 'lobby', ['alice'])
    const two = await browser.open(site.page({ user: 'alice', rooms: { garden: {} } }))
    await membersOf(two, 'garden', ['alice'])
    await crash(browser, two)
    // The rooms of a crashed tab are held as long as those of a crashed client: 5 s.
    await reader.next(
      ({ topic, text }) => /garden\/members\/alice/.test(topic) && text === '',
      7000,
    )
    await membersOf(one, 'lobby', ['alice'])
    expect(reader.messages.filter(isOffline('alice'))).to.deep.equal([])
    expect(site.upgrades).to.equal(1)
  })

  it('start the worker again when the tab that had started it crashes, without a flap', async () => {
    const { site, reader, browser } = await start()
    const host = await browser.open(site.page({ user: 'alice', rooms: { lobby: {} } }))
    await membersOf(host, 'lobby', ['alice'])
    const other = await browser.open(site.page({ user: 'alice', rooms: { lobby: {}, garden: {} } }))
    await membersOf(other, 'garden', ['alice'])
    await reader.caughtUp()
    const before = reader.messages.length
    await crash(browser, host)
    await waitFor(other, `states.some(({ state }) => state === 'reconnecting')`)
    await membersOf(other, 'garden', ['alice'])
    await membersOf(other, 'lobby', ['alice'])
    await new Promise((resolve) => setTimeout(resolve, 6000))
    await reader.caughtUp()
    const gone = reader.messages
      .slice(before)
      .filter(
        ({ topic, text }) => topic.includes('alice') && (text === '' || text.includes('offline')),
      )
    expect(gone).to.deep.equal([])
    expect(await other.evaluate('events')).to.deep.equal([])
    expect(site.upgrades).to.equal(2)
  })
})

async function start(): Promise<{
  site: Awaited<ReturnType<typeof startSite>>
  reader: Reader
  browser: TestBrowser
}> {
  const program = await startProgram()
  const site = await startSite(program.httpPort)
  const reader = await watch(program, ['presence/users/alice', 'presence/rooms/+/members/#'])
  return { site, reader, browser: await startBrowser() }
}

function isMember(
  room: string,
  user: string,
  text: string,
): (message: { topic: string; text: string }) => boolean {
  return (message) =>
    message.topic === `presence/rooms/${room}/members/${user}` && message.text.includes(text)
}

function dataIn(message: { text: string }): unknown {
  return json(message)['data']
}

/** Ends the page's process; the browser shows "Aw, snap". */
async function crash(browser: TestBrowser, page: Page): Promise<void> {
  const session = await browser.context.newCDPSession(page)
  session.send('Page.crash').catch(() => {})
  await page.waitForEvent('crash')
}
