import { expect } from 'chai'
import { build, type BuildOptions } from 'esbuild'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { PACKAGE_ROOT, startProgram } from '../helpers/process.ts'
import { watch, type Reader } from '../helpers/presence-reader.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { startBrowser } from './browser.ts'
import { waitFor } from './page-state.ts'
import { bundle, startSite } from './site.ts'

/**
 * An application as a router makes it: rendered on a server first, a layout that stays with the connection in it,
 * pages that come and go in transitions, one that has to be waited for, one that is only hidden.
 */
const APP = `
import { Activity, StrictMode, Suspense, startTransition, use, useState } from 'react'
import { PresenceProvider, useConnectionState, useRoom, useUser } from 'presence-bridge/client/react'

function Room({ name }) {
  const { members, fresh } = useRoom(name, { in: name })
  return <p id={name}>{fresh ? [...members.keys()].join() : 'not fresh'}</p>
}
function Bob({ id }) {
  return <i id={id}>{useUser('bob')?.status ?? 'unknown'}</i>
}
const slow = globalThis.slow = {}
slow.promise = new Promise((resolve) => (slow.come = resolve))
function Slow() {
  use(slow.promise)
  return <Room name="garden" />
}
const PAGES = {
  home: () => <h1>home</h1>,
  lobby: () => <><h1>lobby</h1><Room name="lobby" /><Bob id="of-page" /></>,
  desk: () => <><h1>desk</h1><Room name="lobby" /></>,
  slow: () => <><h1>slow</h1><Slow /></>,
}
function State() {
  return <b id="state">{useConnectionState().state}</b>
}
function Pages() {
  const [route, setRoute] = useState('lobby')
  const [attic, setAttic] = useState('hidden')
  if (globalThis.document) {
    globalThis.go = (to) => startTransition(() => setRoute(to))
    globalThis.setAttic = setAttic
  }
  const Page = PAGES[route]
  return <>
    <Suspense fallback={<p>loading</p>}><Page /></Suspense>
    <Activity mode={attic}><Room name="attic" /></Activity>
  </>
}
export function App() {
  return <StrictMode>
    <PresenceProvider options={{ url: '/mqtt', user: 'alice' }}>
      <State /><Bob id="of-layout" /><Pages />
    </PresenceProvider>
  </StrictMode>
}
`

const COMMON: BuildOptions = {
  bundle: true,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"development"' },
  logLevel: 'error',
}

describe('the React hooks in an application with routes', function () {
  this.timeout(60_000)

  it('leave a room with its page, and keep the one connection of the layout', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const html = await renderOnServer()
    expect(html).to.contain('<b id="state">connecting</b>').and.to.contain('not fresh')
    site.serve('/app.js', 'text/javascript', await bundleForPage())
    site.serve(
      '/app',
      'text/html',
      `<!doctype html><title>t</title><div id="root">${html}</div><script type="module" src="/app.js"></script>`,
    )
    const reader = await watch(program, 'presence/rooms/+/events')
    const browser = await startBrowser()
    const page = await browser.open(`${site.origin}/app`)
    await shows(page, 'state', 'online')
    await shows(page, 'lobby', 'alice')
    await heard(reader, 'lobby', 'joined')

    // Another page with the same room: the others see nothing of it.
    const before = reader.messages.length
    await go(page, 'desk')
    await shows(page, 'lobby', 'alice')
    await go(page, 'lobby')
    await shows(page, 'lobby', 'alice')
    await reader.caughtUp()
    expect(reader.messages.length).to.equal(before)

    await go(page, 'home')
    await heard(reader, 'lobby', 'left')
    await go(page, 'lobby')
    await shows(page, 'lobby', 'alice')
    await heard(reader, 'lobby', 'joined')

    // A user that the layout shows, too, is still followed when the page has gone.
    await go(page, 'desk')
    const bob = await browser.open(site.page({ user: 'bob', worker: 'dedicated' }))
    await shows(page, 'of-layout', 'online')
    await bob.evaluate('presence.leave()')
    await shows(page, 'of-layout', 'offline')

    // A page that is waited for: the old one stays, and its room with it.
    await page.evaluate(`void go('slow')`)
    await reader.caughtUp()
    expect(await page.evaluate(`document.querySelector('h1').textContent`)).to.equal('desk')
    await page.evaluate('void slow.come()')
    await shows(page, 'garden', 'alice')
    await heard(reader, 'lobby', 'left')

    // A page that is kept but hidden is not in its room.
    await page.evaluate(`setAttic('visible')`)
    await shows(page, 'attic', 'alice')
    await heard(reader, 'attic', 'joined')
    await page.evaluate(`setAttic('hidden')`)
    await heard(reader, 'attic', 'left')
    await page.evaluate(`setAttic('visible')`)
    await shows(page, 'attic', 'alice')
    await heard(reader, 'attic', 'joined')

    expect(await page.evaluate('recovered')).to.deep.equal([])
    expect(await page.evaluate('errors')).to.deep.equal([])
    // Alice's and Bob's.
    expect(site.upgrades).to.equal(2)
  })
})

/** What a server sends before there is any connection. */
async function renderOnServer(): Promise<string> {
  await bundle()
  const folder = await mkdtemp(join(tmpdir(), 'presence-react-'))
  onTeardown(() => rm(folder, { recursive: true, force: true }))
  const outfile = join(folder, 'server.cjs')
  const contents = `${APP}
    import { renderToString } from 'react-dom/server'
    export const html = renderToString(<App />)`
  await build({
    ...COMMON,
    stdin: { contents, resolveDir: PACKAGE_ROOT, loader: 'tsx' },
    platform: 'node',
    format: 'cjs',
    outfile,
    external: ['./client.engine.js'],
    logOverride: { 'empty-import-meta': 'silent' },
  })
  return (createRequire(import.meta.url)(outfile) as { html: string }).html
}

async function bundleForPage(): Promise<string> {
  const contents = `${APP}
    import { hydrateRoot } from 'react-dom/client'
    globalThis.recovered = []
    globalThis.errors = []
    console.error = (...parts) => errors.push(parts.join(' '))
    const onRecoverableError = (error) => recovered.push(String(error))
    hydrateRoot(document.querySelector('#root'), <App />, { onRecoverableError })`
  const { outputFiles } = await build({
    ...COMMON,
    stdin: { contents, resolveDir: PACKAGE_ROOT, loader: 'tsx' },
    format: 'esm',
    external: ['./client.engine.js'],
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}

async function go(page: Page, route: string): Promise<void> {
  await page.evaluate(`void go(${JSON.stringify(route)})`)
  await waitFor(page, `document.querySelector('h1').textContent === ${JSON.stringify(route)}`)
}

function shows(page: Page, id: string, text: string): Promise<void> {
  return waitFor(page, `document.querySelector('#${id}')?.textContent === ${JSON.stringify(text)}`)
}

/** The next thing that a room tells is that alice came or went; at once, not after a grace. */
async function heard(reader: Reader, room: string, what: 'joined' | 'left'): Promise<void> {
  const said = await reader.next(`presence/rooms/${room}/events`, 1000)
  expect(said.text).to.contain(what === 'joined' ? '"joined":[{"user":"alice"' : '"reason":"left"')
}
