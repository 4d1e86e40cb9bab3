import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { startProgram, type Program } from '../helpers/process.ts'
import { hide, startBrowser, type TestBrowser } from './browser.ts'
import { isOnline, waitFor } from './page-state.ts'
import { startSite, type Site } from './site.ts'

/** The times of the specification, instead of those that are enough to see the same. */
const LONG = process.env['CLIENT_LONG'] !== undefined
const KEEPALIVE_S = LONG ? 5 : 2
const HIDDEN_MS = LONG ? 180_000 : 15_000
const FROZEN_MS = LONG ? 100_000 : 30_000
const BLOCKED_MS = 20_000

const KINDS = ['dedicated', 'shared'] as const

describe('a page that its browser neglects stays connected', function () {
  this.timeout(600_000)

  let strict: Program
  let site: Site

  beforeEach(async () => {
    // Nobody is forgiven a late keepalive here.
    strict = await startProgram({ flags: ['--keepalive-tolerance', '0s'] })
    site = await startSite(strict.httpPort)
  })

  const options = (worker: string): Record<string, unknown> => ({
    worker,
    user: `user-${worker}`,
    keepalive: `${KEEPALIVE_S}s`,
  })

  it(`hidden and throttled for ${HIDDEN_MS / 1000} s at keepalive ${KEEPALIVE_S} s`, async () => {
    const tolerant = await startProgram()
    const browser = await startBrowser(['IntensiveWakeUpThrottling:grace_period_seconds/5'])
    // One after the other: a page that is hidden while it loads is not throttled for a minute.
    const pages = await openAll(browser)
    const plain: Page[] = []
    for (const program of [strict, tolerant]) {
      const page = await browser.open(plainPage(site, program, 2))
      await waitFor(page, 'globalThis.ups === 1')
      plain.push(page)
    }
    await hide(browser)
    await sleep(12_000)
    const ticks = await Promise.all(pages.map((page) => page.evaluate('ticks.length')))
    await sleep(HIDDEN_MS)
    // They were throttled indeed.
    const after = await Promise.all(pages.map((page) => page.evaluate('ticks.length')))
    for (const [i, count] of after.entries()) {
      expect(Number(count) - Number(ticks[i])).to.be.at.most(HIDDEN_MS / 60_000 + 2)
    }
    for (const page of pages) await wasNeverDropped(page)
    const [dropped, kept] = await Promise.all(plain.map((page) => page.evaluate('drops')))
    expect(dropped).to.be.above(0)
    expect(kept).to.equal(0)
  })

  it(`where others are frozen, for ${FROZEN_MS / 1000} s`, async () => {
    const browser = await startBrowser(['InfiniteTabsFreezing:num_protected_tabs/1'])
    const pages = await openAll(browser)
    const plain = await browser.open(plainPage(site, strict, 2))
    await waitFor(plain, 'globalThis.ups === 1')
    await hide(browser)
    await sleep(FROZEN_MS)
    for (const page of pages) await wasNeverDropped(page)
    await plain.bringToFront()
    await waitFor(plain, 'globalThis.drops > 0', 20_000)
  })

  it(`with its main thread busy for ${BLOCKED_MS / 1000} s`, async () => {
    const browser = await startBrowser()
    const plain: Page[] = []
    // With timers of a worker it is no better.
    for (const timers of ['native', 'auto']) {
      const page = await browser.open(plainPage(site, strict, KEEPALIVE_S, timers))
      await waitFor(page, 'globalThis.ups === 1')
      plain.push(page)
    }
    const block = `{ const until = performance.now() + ${BLOCKED_MS}; while (performance.now() < until); }`
    const pages = await openAll(browser)
    await Promise.all([...pages, ...plain].map((page) => page.evaluate(block)))
    for (const page of pages) await wasNeverDropped(page)
    for (const page of plain) await waitFor(page, 'globalThis.drops > 0')
  })

  it(`with an alert open for ${BLOCKED_MS / 1000} s`, async () => {
    const alerted = KINDS.map(async (kind) => {
      const browser = await startBrowser()
      const page = await browser.open(site.page(options(kind)))
      await isOnline(page)
      const opened = page.waitForEvent('dialog')
      await page.evaluate(`void setTimeout(() => alert('wait'))`)
      const dialog = await opened
      await sleep(BLOCKED_MS)
      await dialog.accept()
      await wasNeverDropped(page)
    })
    await Promise.all(alerted)
  })

  async function openAll(browser: TestBrowser): Promise<Page[]> {
    const pages: Page[] = []
    for (const kind of KINDS) {
      const page = await browser.open(site.page(options(kind)))
      await isOnline(page)
      pages.push(page)
    }
    return pages
  }

  async function wasNeverDropped(page: Page): Promise<void> {
    await isOnline(page)
    const states = (await page.evaluate('states.map(({ state }) => state)')) as string[]
    expect(states.filter((state) => state === 'reconnecting')).to.deep.equal([])
  }
})

function plainPage(
  site: Site,
  { httpPort: port }: Program,
  keepalive: number,
  timers = 'native',
): string {
  const options = JSON.stringify({ port, keepalive, timers })
  return `${site.origin}/plain?o=${encodeURIComponent(options)}`
}

/** What is tested here is that nothing happens in this time. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
