import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { startProgram } from '../helpers/process.ts'
import { json, watch } from '../helpers/presence-reader.ts'
import { startBrowser } from './browser.ts'
import { isOnline, membersOf, waitFor } from './page-state.ts'
import { startSite } from './site.ts'

describe('a page connects', function () {
  this.timeout(60_000)

  for (const worker of ['dedicated', 'shared', 'page'] as const) {
    it(`with its connection in: ${worker}; others see it, and it sees them`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const reader = await watch(program, 'presence/rooms/lobby/#')
      const browser = await startBrowser()
      const page = await browser.open(
        site.page({ worker, user: 'alice', rooms: { lobby: { n: 1 } } }),
      )
      await isOnline(page)
      const seen = await reader.next('presence/rooms/lobby/members/alice')
      expect(json(seen)['data']).to.deep.equal({ n: 1 })
      expect(await page.evaluate('presence.worker')).to.equal(worker)

      const other = await browser.open(site.page({ worker, user: 'bob', rooms: { lobby: {} } }))
      await isOnline(other)
      await membersOf(page, 'lobby', ['alice', 'bob'])
      await membersOf(other, 'lobby', ['alice', 'bob'])
      expect(await eventsOf(page)).to.deep.include(['join', 'bob'])

      await other.evaluate('presence.leave()')
      await membersOf(page, 'lobby', ['alice'])
      const user = await reader.next('presence/rooms/lobby/members/bob')
      expect(user.topic).to.contain('bob')
      expect(await other.evaluate('presence.state.reason')).to.equal('left')
    })
  }

  it('tells what changes, merges its own data, and may look without joining', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const reader = await watch(program, 'presence/users/alice')
    const browser = await startBrowser()
    const page = await browser.open(site.page({ worker: 'dedicated', user: 'alice' }))
    await isOnline(page)
    await page.evaluate(`
      rooms.lobby = presence.watch('lobby')
      globalThis.heard = []
      for (const name of ['join', 'leave', 'update']) rooms.lobby.on(name, (event) => heard.push([name, event.user, event.data ?? event.reason]))
      globalThis.bob = presence.user('bob')
    `)
    await membersOf(page, 'lobby', [])
    expect(await page.evaluate('rooms.lobby.joined')).to.equal(false)
    const other = await browser.open(
      site.page({ worker: 'dedicated', user: 'bob', rooms: { lobby: { a: 1 } } }),
    )
    await membersOf(page, 'lobby', ['bob'])
    await other.evaluate(`rooms.lobby.update({ b: 2 })`)
    await waitFor(page, 'heard.length === 2')
    await other.evaluate(`presence.setData('hello')`)
    await waitFor(page, `bob.document?.data === 'hello'`)
    await other.evaluate(`rooms.lobby.leave()`)
    await waitFor(page, 'heard.length === 3')
    expect(await page.evaluate('heard')).to.deep.equal([
      ['join', 'bob', { a: 1 }],
      ['update', 'bob', { a: 1, b: 2 }],
      ['leave', 'bob', 'left'],
    ])
    expect(await page.evaluate('bob.status')).to.equal('online')
    await other.evaluate('presence.leave()')
    await waitFor(page, `bob.status === 'offline'`)
    expect(json(await reader.next('presence/users/alice'))['connections']).to.equal(1)
  })

  for (const worker of ['dedicated', 'shared']) {
    it(`gives whoever listens to a topic later what is retained on it (${worker})`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const browser = await startBrowser()
      const page = await browser.open(site.page({ worker, user: 'alice' }))
      await isOnline(page)
      await page.evaluate(`
        globalThis.heard = []
        globalThis.listen = (name) => presence.subscribe('news', ({ text }) => heard.push(name + text()))
        globalThis.stop = listen('a')
        void presence.publish('news', '1', { qos: 1, retain: true })
      `)
      await waitFor(page, `heard.join() === 'a1'`)
      // Beside the first, and in its place in one go, as a framework does it.
      await page.evaluate(`globalThis.stopB = listen('b')`)
      await waitFor(page, `heard.includes('b1')`)
      // Another tab of the same connection, or of another one.
      const other = await browser.open(site.page({ worker, user: 'alice' }))
      await isOnline(other)
      await other.evaluate(
        `globalThis.heard = []; presence.subscribe('news', ({ text }) => heard.push(text()))`,
      )
      await waitFor(other, `heard.join() === '1'`)
      await page.evaluate(`stop(); stopB(); heard.length = 0; void listen('c')`)
      await waitFor(page, `heard.join() === 'c1'`)
    })
  }
})

function eventsOf(page: Page): Promise<unknown> {
  return page.evaluate('events')
}
