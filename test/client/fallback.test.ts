import { expect } from 'chai'
import { startProgram } from '../helpers/process.ts'
import { startBrowser } from './browser.ts'
import { isOnline, membersOf } from './page-state.ts'
import { startSite, type PageOptions } from './site.ts'

describe('where the connection runs', function () {
  this.timeout(60_000)

  const cases: readonly [string, PageOptions, string, string?][] = [
    ['a shared worker when the user is named', {}, 'shared'],
    ['a dedicated worker when it is not known who shares', { user: undefined }, 'dedicated'],
    [
      'a dedicated worker where there are no shared ones',
      {},
      'dedicated',
      'Reflect.deleteProperty(globalThis, "SharedWorker")',
    ],
    [
      'a dedicated worker where a shared one dies with its page',
      {},
      'dedicated',
      `{ const Real = SharedWorker; globalThis.SharedWorker = class extends Real { constructor(url) { super(url, { type: 'module' }) } } }`,
    ],
    [
      'a dedicated worker where there are no locks',
      { worker: 'shared' },
      'dedicated',
      'Object.defineProperty(Navigator.prototype, "locks", { get: undefined }); delete Navigator.prototype.locks',
    ],
    [
      'a dedicated worker when the shared one says nothing',
      { worker: 'shared', sharedWorkerUrl: '/mute.js' },
      'dedicated',
    ],
    [
      'a dedicated worker when the shared one is missing',
      { worker: 'shared', sharedWorkerUrl: '/none.js' },
      'dedicated',
    ],
    [
      'the page when the worker says nothing',
      { worker: 'dedicated', workerUrl: '/mute.js' },
      'page',
    ],
    [
      'the page when the worker is broken',
      { worker: 'dedicated', workerUrl: '/broken.js' },
      'page',
    ],
    ['the page when the worker is missing', { worker: 'dedicated', workerUrl: '/none.js' }, 'page'],
    [
      'the page where the policy allows no worker',
      { csp: `default-src 'self'; worker-src 'none'` },
      'page',
    ],
    [
      'the page where there are no workers',
      {},
      'page',
      'Reflect.deleteProperty(globalThis, "SharedWorker"); Reflect.deleteProperty(globalThis, "Worker")',
    ],
    [
      'the inline worker',
      { client: '/client.inline.js', csp: `default-src 'self'; worker-src blob:` },
      'dedicated',
    ],
  ]

  it('is decided by what works', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const browser = await startBrowser()
    for (const [title, options, kind, init] of cases) {
      const page = await browser.context.newPage()
      if (init !== undefined) await page.addInitScript(init)
      await page.goto(site.page({ user: 'alice', rooms: { lobby: {} }, ...options }))
      await isOnline(page)
      expect(await page.evaluate('presence.worker'), title).to.equal(kind)
      if (!('user' in options)) await membersOf(page, 'lobby', ['alice'])
      // Silence is noticed after 3 s; everything else at once.
      const { online } = (await page.evaluate('cost')) as { online: number }
      const isMute = JSON.stringify(options).includes('mute')
      expect(online, title).to.be.below(isMute ? 5000 : 3000)
      await page.evaluate('presence.leave()')
      await page.close()
    }
  })
})
