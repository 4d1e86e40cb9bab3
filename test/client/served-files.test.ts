import { expect } from 'chai'
import { startProgram } from '../helpers/process.ts'
import { startBrowser } from './browser.ts'
import { bundle, startSite } from './site.ts'

describe('the client’s files, as the server has them', function () {
  this.timeout(30_000)

  it('are scripts that are asked for again and seldom sent again, for pages of any origin', async () => {
    await bundle()
    const { httpPort } = await startProgram()
    const base = `http://127.0.0.1:${httpPort}`
    for (const name of [
      'client.js',
      'client.worker.js',
      'client.shared-worker.js',
      'client.engine.js',
    ]) {
      const answer = await fetch(`${base}/${name}`)
      expect(answer.status).to.equal(200)
      expect(answer.headers.get('content-type')).to.equal('text/javascript; charset=utf-8')
      expect(answer.headers.get('cache-control')).to.equal('no-cache')
      expect(answer.headers.get('content-encoding')).to.equal('gzip')
      expect(answer.headers.get('access-control-allow-origin')).to.equal('*')
      const text = await answer.text()
      expect(text).to.contain('sourceMappingURL')
      // Turbopack, Next.js' bundler, would look for what an AMD module depends on.
      expect(text).to.not.contain('define.amd')
      const etag = answer.headers.get('etag') ?? ''
      const again = await fetch(`${base}/${name}`, { headers: { 'if-none-match': etag } })
      expect(again.status).to.equal(304)
    }
    for (const path of ['/client.nothing.js', '/client/index.d.ts', '/client..js', '/clients.js']) {
      expect((await fetch(base + path)).status, path).to.equal(404)
    }
  })

  it('run in a page of another site, with no build', async () => {
    const { httpPort } = await startProgram()
    const site = await startSite(httpPort)
    const browser = await startBrowser()
    const page = await browser.open(`${site.origin}/other`)
    const found = await page.evaluate(`(async () => {
      const { connectPresence } = await import('http://127.0.0.1:${httpPort}/client.js')
      const presence = connectPresence({ url: 'ws://127.0.0.1:${httpPort}/mqtt', user: 'alice' })
      const lobby = presence.room('lobby', { name: 'Alice' })
      const heard = []
      presence.subscribe('news/+', ({ topic, text }) => heard.push([topic, text()]))
      await new Promise((resolve) => lobby.on('change', () => lobby.fresh && lobby.size === 1 && resolve()))
      await presence.publish('news/today', 'sunny', { qos: 1 })
      await new Promise((resolve) => setTimeout(resolve, 200))
      const found = [[...lobby.members.values()].map(({ user, data }) => [user, data]), heard, presence.worker]
      await presence.leave()
      return found
    })()`)
    expect(found).to.deep.equal([
      [['alice', { name: 'Alice' }]],
      [['news/today', 'sunny']],
      'dedicated',
    ])
  })
})
