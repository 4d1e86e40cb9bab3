import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { exitOf } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { within } from '../helpers/within.ts'

/** A real Chromium, with its throttling and freezing as its users have it. */
export interface TestBrowser {
  readonly pid: number
  readonly context: BrowserContext
  /** Opens a page; in the foreground, as the last one that was opened. */
  open(url: string): Promise<Page>
  /** To every process of the browser. */
  kill(signal: NodeJS.Signals): void
}

/** Where Debian and others have it. */
const PATHS = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

// Playwright's own launch() switches throttling off and keeps every page visible; a browser that was
// started here and is only attached to behaves.
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
]

/** Starts a browser with an empty profile; it ends with the test. */
export async function startBrowser(features: readonly string[] = []): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'presence-chromium-'))
  const enabled = features.length > 0 ? [`--enable-features=${features.join(',')}`] : []
  const child = spawn(PATHS, [...FLAGS, ...enabled, `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its own process group, so that all of it can be stopped and killed.
    detached: true,
  })
  const exited = exitOf(child)
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal)
    } catch {
      // It has ended already.
    }
  }
  onTeardown(async () => {
    kill('SIGCONT')
    kill('SIGKILL')
    await exited
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  const address = new Promise<string>((resolve) => {
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part
      const found = /DevTools listening on (ws:\S+)/.exec(text)
      if (found?.[1]) resolve(found[1])
    })
  })
  const url = await within(15_000, 'Chromium is up', address)
  const browser = await chromium.connectOverCDP(url, { noDefaults: true })
  const context = browser.contexts()[0]
  if (!context) throw new Error('Chromium has no context')
  onTeardown(() => within(3000, 'Playwright lets go', browser.close()).catch(() => {}))
  return {
    pid: child.pid ?? 0,
    context,
    kill,
    async open(to) {
      const page = await context.newPage()
      await page.goto(to)
      return page
    },
  }
}

/** Opens another page in the same window, so that all others are hidden. */
export async function hide(browser: TestBrowser): Promise<Page> {
  const other = await browser.context.newPage()
  await other.bringToFront()
  return other
}
