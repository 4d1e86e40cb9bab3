import { expect } from 'chai'
import type { Server } from 'node:http'
import { closeHttpServer, createHttpServer, listen } from '../../server/http.ts'

describe('the HTTP server', () => {
  let server: Server
  let base: string

  before(async () => {
    server = createHttpServer({ problems: () => ['it is a test'], metrics: () => ({}) })
    base = `http://127.0.0.1:${await listen(server, '127.0.0.1', 0)}`
  })

  after(() => closeHttpServer(server))

  for (const [method, path, status, type] of [
    ['GET', '/', 200, 'text/html; charset=utf-8'],
    ['HEAD', '/', 200, 'text/html; charset=utf-8'],
    ['GET', '/healthz', 200, 'text/plain; charset=utf-8'],
    ['GET', '/healthz?probe=1', 200, 'text/plain; charset=utf-8'],
    ['GET', '/readyz', 503, 'application/json'],
    ['GET', '/metrics', 200, 'text/plain; version=0.0.4; charset=utf-8'],
    ['GET', '/mqtt', 426, 'text/plain; charset=utf-8'],
    ['POST', '/', 405, 'text/plain; charset=utf-8'],
    ['DELETE', '/metrics', 405, 'text/plain; charset=utf-8'],
    ['GET', '/nowhere', 404, 'text/plain; charset=utf-8'],
    ['GET', '//healthz', 404, 'text/plain; charset=utf-8'],
    ['GET', '/__proto__', 404, 'text/plain; charset=utf-8'],
  ] as const) {
    it(`answers ${method} ${path} with ${status}`, async () => {
      const response = await fetch(base + path, { method })
      expect(response.status).to.equal(status)
      expect(response.headers.get('content-type')).to.equal(type)
      expect(response.headers.get('x-content-type-options')).to.equal('nosniff')
      expect(response.headers.get('content-security-policy')).to.match(/^default-src 'none'/)
    })
  }

  it('says which methods it takes', async () => {
    const response = await fetch(base, { method: 'PUT', body: 'x'.repeat(100_000) })
    expect(response.headers.get('allow')).to.equal('GET, HEAD')
  })

  it('closes though a client keeps its connection open', async () => {
    const other = createHttpServer({ problems: () => [], metrics: () => ({}) })
    const port = await listen(other, '127.0.0.1', 0)
    await fetch(`http://127.0.0.1:${port}/`)
    await closeHttpServer(other)
    await closeHttpServer(other)
    expect(other.listening).to.equal(false)
  })
})
