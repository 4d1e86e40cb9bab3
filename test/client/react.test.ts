import { expect } from 'chai'
import { build } from 'esbuild'
import { startProgram, PACKAGE_ROOT } from '../helpers/process.ts'
import { isOffline, json, watch } from '../helpers/presence-reader.ts'
import { startBrowser } from './browser.ts'
import { waitFor } from './page-state.ts'
import { startSite } from './site.ts'

const APP = `
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { PresenceProvider, useConnectionState, useRoom, useUser } from 'presence-bridge/client/react'

function Room({ name, n }) {
  const { members, fresh, size } = useRoom(name, { n })
  return <p id={name}>{fresh ? [...members.values()].map((m) => m.user + m.data.n).join() + ' ' + size : 'not fresh'}</p>
}

function App() {
  const [route, go] = useState('lobby')
  const [n, setN] = useState(1)
  Object.assign(globalThis, { go, setN })
  const { state } = useConnectionState()
  const bob = useUser('bob')
  return <>
    <b id="state">{state}</b><i id="bob">{bob?.status ?? 'unknown'}</i>
    <Room key={route} name={route} n={n} />
    <Room name={route} n={n} />
  </>
}

const root = createRoot(document.querySelector('#root'))
globalThis.quit = () => root.unmount()
const page = () => <PresenceProvider options={{ url: '/mqtt', user: 'alice', getToken: () => 'token' }}><App /></PresenceProvider>
globalThis.again = () => root.render(<StrictMode>{page()}</StrictMode>)
globalThis.again()
`

describe('the React hooks', function () {
  this.timeout(60_000)

  it('are right under StrictMode, through updates, route changes and the end', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const bundle = await build({
      stdin: { contents: APP, resolveDir: PACKAGE_ROOT, loader: 'tsx' },
      bundle: true,
      format: 'esm',
      jsx: 'automatic',
      define: { 'process.env.NODE_ENV': '"development"' },
      external: ['./client.engine.js'],
      write: false,
    })
    site.serve('/app.js', 'text/javascript', bundle.outputFiles[0]?.text ?? '')
    const html =
      '<!doctype html><title>t</title><div id="root"></div><script type="module" src="/app.js"></script>'
    site.serve('/app', 'text/html', html)
    const reader = await watch(program, [
      'presence/users/alice',
      'presence/rooms/+/events',
      'presence/connections/#',
    ])
    const browser = await startBrowser()
    const page = await browser.open(`${site.origin}/app`)
    const shows = (id: string, is: string): Promise<void> =>
      waitFor(page, `document.querySelector('#${id}')?.textContent === ${JSON.stringify(is)}`)
    await shows('state', 'online')
    await shows('lobby', 'alice1 1')
    await shows('bob', 'unknown')
    expect(site.upgrades).to.equal(1)

    // Rendered again, with other functions: still the same connection.
    await page.evaluate('again()')
    await page.evaluate('setN(2)')
    await shows('lobby', 'alice2 1')

    const other = await browser.open(
      site.page({ user: 'bob', rooms: { lobby: { n: 5 } }, worker: 'dedicated' }),
    )
    await shows('bob', 'online')
    await shows('lobby', 'alice2,bob5 2')
    await other.evaluate('presence.leave()')
    await shows('bob', 'offline')
    await shows('lobby', 'alice2 1')

    await page.evaluate(`go('garden')`)
    await shows('garden', 'alice2 1')
    const left = await reader.next(
      ({ topic, text }) =>
        topic === 'presence/rooms/lobby/events' && text.includes('"user":"alice","reason"'),
    )
    expect((json(left)['left'] as { reason: string }[])[0]?.reason).to.equal('left')
    expect(site.upgrades).to.equal(2)

    const joins = reader.messages.filter(
      ({ topic, text }) =>
        topic === 'presence/rooms/lobby/events' && text.includes('"joined":[{"user":"alice"'),
    )
    expect(joins).to.have.length(1)
    await page.evaluate('quit()')
    await reader.next(isOffline('alice'), 1000)
  })
})
