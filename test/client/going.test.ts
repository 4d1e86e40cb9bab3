import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { connectClient } from '../helpers/mqtt.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import {
  diffIn,
  isOffline,
  json,
  watch,
  type Message,
  type Reader,
} from '../helpers/presence-reader.ts'
import { eventually } from '../helpers/within.ts'
import { hide, startBrowser } from './browser.ts'
import { isOnline, membersOf } from './page-state.ts'
import { startSite } from './site.ts'

/** Of each way to go; 50 by option, as the figures in ARCHITECTURE.md are made. */
const TIMES = Number(process.env['CLIENT_GOINGS'] ?? 10)
const RELOADS = Number(process.env['CLIENT_RELOADS'] ?? 50)

/** Graces, and the most that may come on top of them when the machine does nothing else, in milliseconds. */
const UNLOAD_MS = 2000
const CLOSED_MS = 3000
const SLACK_MS = 300

const KINDS = ['dedicated', 'shared'] as const

describe('a page goes', function () {
  this.timeout(240_000)

  for (const worker of KINDS) {
    it(`${RELOADS} reloads with a ${worker} worker reach nobody`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const reader = await watch(program, ['presence/users/+', 'presence/rooms/lobby/events'])
      const browser = await startBrowser()
      const page = await browser.open(
        site.page({ worker, user: 'alice', rooms: { lobby: { n: 1 } } }),
      )
      await isOnline(page)
      await membersOf(page, 'lobby', ['alice'])
      await reader.caughtUp()
      const before = reader.messages.length
      for (let i = 0; i < RELOADS; i++) {
        await page.reload()
        await isOnline(page)
        await membersOf(page, 'lobby', ['alice'])
      }
      await unloadMarker(program, reader, 'lobby')
      expect(reader.messages.slice(before).filter(isAbout('alice'))).to.deep.equal([])
    })

    it(`the hint of a ${worker} worker gets out when a page closes, reloads, navigates`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const reader = await watch(program, 'presence/connections/#')
      const browser = await startBrowser()
      const keeper = await browser.open(`${site.origin}/other`)
      const got = { close: 0, reload: 0, navigate: 0 }
      for (const [way, times] of Object.entries(got) as [
        'close' | 'reload' | 'navigate',
        number,
      ][]) {
        for (let i = times; i < TIMES; i++) {
          const user = `${way}-${worker}-${i}`
          const page = await browser.open(site.page({ worker, user }))
          await isOnline(page)
          await wasSeen(reader, user)
          if (way === 'close') await page.close()
          else if (way === 'reload') await page.reload()
          else await page.goto(`${site.origin}/other`)
          if (await hinted(reader, user)) got[way]++
          if (way !== 'close') await page.close()
        }
      }
      await keeper.close()
      console.log(`        ${worker}: ${JSON.stringify(got)} of ${TIMES} each`)
      // 49 of 50.
      const least = TIMES - Math.floor(TIMES / 50)
      for (const [way, times] of Object.entries(got)) expect(times, way).to.be.at.least(least)
    })

    it(`who closes the tab or navigates away is offline within the grace (${worker})`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const reader = await watch(program, 'presence/users/#')
      const browser = await startBrowser()
      const keeper = await browser.open(`${site.origin}/other`)
      const goings: readonly [string, (page: Page) => Promise<unknown>][] = [
        ['close', (page) => page.close()],
        ['navigate', (page) => page.goto(`${site.origin}/other`)],
      ]
      const measured: Promise<void>[] = []
      for (const round of [1, 2, 3]) {
        for (const [way, go] of goings) {
          const user = `${way}-${round}`
          const page = await browser.open(site.page({ worker, user }))
          await isOnline(page)
          await reader.find(`presence/users/${user}`)
          const control = await startControl(program, reader, `control-${user}`)
          const controlled = control.unload()
          await go(page)
          measured.push(measure(user, controlled))
        }
      }
      await Promise.all(measured)

      async function measure(user: string, controlled: Promise<number>): Promise<void> {
        const offline = await reader.find(isOffline(user))
        expect(json(offline)['reason']).to.equal('unload')
        const goneAt = Number(await keeper.evaluate(`localStorage.getItem('gone ${user}')`))
        expectWithin(clockTime(offline) - goneAt, UNLOAD_MS, await controlled)
      }
    })

    it(`a page in the back/forward cache is offline, and back when it comes back (${worker})`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const reader = await watch(program, 'presence/users/#')
      const browser = await startBrowser()
      const page = await browser.open(site.page({ worker, user: 'alice', rooms: { lobby: {} } }))
      await isOnline(page)
      await reader.next('presence/users/alice')

      // Back within the grace: nobody learns of it.
      await page.evaluate('globalThis.mark = 1')
      await page.goto(`${site.origin}/other`)
      await goBack(page)
      expect(await page.evaluate('globalThis.mark')).to.equal(1)
      const before = reader.messages.length
      await unloadMarker(program, reader)
      expect(reader.messages.slice(before).filter(isAbout('alice'))).to.deep.equal([])

      await page.goto(`${site.origin}/other`)
      await reader.next(isOffline('alice'))
      await new Promise((resolve) => setTimeout(resolve, 3000))
      await goBack(page)
      expect(await page.evaluate('globalThis.mark')).to.equal(1)
      await reader.next((m) => m.topic === 'presence/users/alice' && json(m)['status'] === 'online')
      await isOnline(page)
      await membersOf(page, 'lobby', ['alice'])
    })
  }

  it('killing the browser is offline after grace.closed, leave() at once', async () => {
    const program = await startProgram({ flags: ['--grace-closed', `${CLOSED_MS}ms`] })
    const site = await startSite(program.httpPort)
    const reader = await watch(program, 'presence/users/#')
    const browser = await startBrowser()
    const page = await browser.open(site.page({ user: 'alice' }))
    await isOnline(page)
    await reader.next('presence/users/alice')
    const other = await browser.open(site.page({ user: 'bob' }))
    await isOnline(other)
    await reader.next('presence/users/bob')

    await other.evaluate(`globalThis.leftAt = Date.now(); presence.leave()`)
    const left = await reader.next(isOffline('bob'))
    const leftAt = Number(await other.evaluate('leftAt'))
    expectWithin(clockTime(left) - leftAt, 0, 0)
    expect(json(left)['reason']).to.equal('left')

    const control = await startControl(program, reader, 'control')
    const controlled = control.cut()
    const killedAt = Date.now()
    browser.kill('SIGKILL')
    const offline = await reader.find(isOffline('alice'))
    expectWithin(clockTime(offline) - killedAt, CLOSED_MS, await controlled)
    expect(json(offline)['reason']).to.equal('closed')
  })

  it('a duplicated tab is a second client, and nobody fights', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const browser = await startBrowser()
    const url = site.page({ worker: 'dedicated', user: 'alice', rooms: { lobby: {} } })
    const page = await browser.open(url)
    await isOnline(page)
    // window.open copies sessionStorage, as "Duplicate tab" does.
    const [copy] = await Promise.all([
      browser.context.waitForEvent('page'),
      page.evaluate(`sessionStorage.setItem('a', 'b'); void window.open(location.href)`),
    ])
    await isOnline(copy)
    await hide(browser)
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(site.upgrades).to.equal(2)
    for (const tab of [page, copy]) {
      expect(
        await tab.evaluate(`states.filter((s) => s.state === 'reconnecting').length`),
      ).to.equal(0)
    }
  })
})

/** Somebody without a browser who goes at the same time, so that the load's own share is known. */
interface Control {
  /** By how much it is offline later than `grace.unload`, in milliseconds. */
  unload(): Promise<number>
  /** The same for `grace.closed`. */
  cut(): Promise<number>
}

async function startControl(program: Program, reader: Reader, user: string): Promise<Control> {
  const client = await connectClient(program, { user })
  await reader.find(`presence/users/${user}`)
  async function lateness(graceMs: number): Promise<number> {
    const began = performance.now()
    const offline = await reader.find(isOffline(user))
    return Math.max(0, offline.at - began - graceMs)
  }
  return {
    unload() {
      void client.say({ status: 'offline', reason: 'unload' })
      return lateness(UNLOAD_MS)
    },
    cut() {
      client.cut()
      return lateness(CLOSED_MS)
    },
  }
}

/**
 * Somebody who unloads now, and has left for the reader: whoever unloaded before and did not come back has left
 * for it before.
 */
async function unloadMarker(program: Program, reader: Reader, room?: string): Promise<void> {
  const user = 'marker'
  const marker = await connectClient(program, { user })
  if (room) await marker.say({ status: 'online', rooms: { [room]: null } })
  await marker.say({ status: 'offline', reason: 'unload' })
  await reader.find(isOffline(user))
  const hasLeft = (message: Message): boolean =>
    message.topic === `presence/rooms/${room}/events` &&
    diffIn(message).left.some((leave) => leave.user === user)
  if (room) await reader.find(hasLeft)
}

function isAbout(user: string): (message: Message) => boolean {
  return ({ topic, text }) => topic.includes(user) || text.includes(user)
}

/** When a message came, by the clock that pages see. */
function clockTime({ at }: Message): number {
  return Date.now() - (performance.now() - at)
}

/** The bound is the specification's; what the load did to somebody without a browser goes on top. */
function expectWithin(tookMs: number, graceMs: number, loadMs: number): void {
  const late = `${tookMs.toFixed(0)} ms, of which the load may have made ${loadMs.toFixed(0)} ms`
  expect(tookMs, late).to.be.within(graceMs - 20, graceMs + SLACK_MS + loadMs)
}

/** Playwright waits in vain for a page out of the cache to load. */
async function goBack(page: Page): Promise<void> {
  await page.evaluate('void setTimeout(() => history.back())')
  await isOnline(page)
}

function wasSeen(reader: Reader, user: string): Promise<Message> {
  return reader.find(({ topic, text }) => topic.includes(`/${user}/`) && text.includes('"seq"'))
}

async function hinted(reader: Reader, user: string): Promise<boolean> {
  const isHint = ({ topic, text }: Message): boolean =>
    topic.includes(`/${user}/`) && text.includes('"unload"')
  try {
    await eventually('the hint comes', () => reader.messages.some(isHint), 1000)
    return true
  } catch {
    return false
  }
}
