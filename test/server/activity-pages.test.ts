import { expect } from 'chai'
import { get, type Server } from 'node:http'
import { closeHttpServer, createHttpServer, listen } from '../../server/http.ts'
import { createFakeParts } from './fake-parts.ts'

describe('the pages about what was', () => {
  const parts = createFakeParts()
  let server: Server
  let base: string

  before(async () => {
    const link = await parts.connectMqttLink({ url: '', clientId: '' })
    const bridge = await parts.createBridge({ link })
    server = createHttpServer({ problems: () => [], metrics: () => ({}), bridge: () => bridge })
    base = `http://127.0.0.1:${await listen(server, '127.0.0.1', 0)}/activity`
  })
  after(() => closeHttpServer(server))

  it('tell how long a user was online on a day', async () => {
    const response = await fetch(`${base}/users/a%2Fb?day=2026-03-01`)
    expect(response.status).to.equal(200)
    expect(await response.json()).to.include({ user: 'a/b', onlineMs: 1000 })
  })

  it('tell who was in a room at a time', async () => {
    const response = await fetch(`${base}/rooms/lobby?at=2026-03-01T09:00:00Z`)
    expect(await response.json()).to.include({ room: 'lobby', complete: true })
  })

  for (const [host, status] of [
    ['localhost', 200],
    ['localhost:8080', 200],
    ['127.0.0.1', 200],
    ['[::1]:8080', 200],
    ['rebound.example:8080', 403],
    ['127.0.0.1.rebound.example', 403],
  ] as const) {
    it(`answer who calls this machine ${host} with ${status}`, async () => {
      const path = new URL(`${base}/users/ann?day=2026-03-01`)
      const answered = new Promise<number | undefined>((resolve, reject) => {
        get(path, { headers: { host } }, (response) => {
          response.resume()
          resolve(response.statusCode)
        }).once('error', reject)
      })
      expect(await answered).to.equal(status)
    })
  }

  for (const [path, status] of [
    ['/users/%E0%A4%A?day=2026-03-01', 400],
    ['/rooms', 404],
    ['/rooms/a/b', 404],
    ['/brokers/b?at=2026-03-01', 404],
  ] as const) {
    it(`answer ${path} with ${status}`, async () => {
      expect((await fetch(base + path)).status).to.equal(status)
    })
  }

  for (const path of ['/users/ann?day=2026-03-01', '/rooms/lobby?at=2026-03-01']) {
    it(`answer HEAD ${path} as GET, without the body`, async () => {
      const [whole, head] = [await fetch(base + path), await fetch(base + path, { method: 'HEAD' })]
      expect(head.status).to.equal(200)
      expect(head.headers.get('content-length')).to.equal(whole.headers.get('content-length'))
      expect(await head.text()).to.equal('')
    })

    it(`say which methods ${path} takes`, async () => {
      const response = await fetch(base + path, { method: 'POST' })
      expect(response.status).to.equal(405)
      expect(response.headers.get('allow')).to.equal('GET, HEAD')
    })
  }

  for (const [path, error] of [
    ['/users/ann?day=2026-02-30', 'day: expected a day such as 2026-03-01, got "2026-02-30"'],
    ['/rooms/lobby?at=2100-01-01', 'at: expected a time that has been, got "2100-01-01"'],
  ] as const) {
    it(`say what is wrong with ${path}`, async () => {
      const response = await fetch(base + path)
      expect(response.status).to.equal(400)
      expect(await response.json()).to.deep.equal({ error })
    })
  }

  it('are only for this machine, and not for whom a proxy lets in', async () => {
    const headers = { 'x-forwarded-for': '192.0.2.1' }
    const response = await fetch(`${base}/rooms/lobby?at=2026-03-01`, { headers })
    expect(response.status).to.equal(403)
  })

  it('say that the bridge is not ready when it is not', async () => {
    parts.ready = false
    expect((await fetch(`${base}/rooms/lobby?at=2026-03-01`)).status).to.equal(503)
    parts.ready = true
  })
})
