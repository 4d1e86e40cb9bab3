import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { WebSocket } from 'ws'
import type { ConnectionInfo } from '../../broker/transport/connection-info.ts'
import { createTcpListener } from '../../broker/transport/tcp-listener.ts'
import { attachWebSocketListener } from '../../broker/transport/websocket-listener.ts'
import { onTeardown } from '../helpers/teardown.ts'

const LOCAL = /^(::1|(::ffff:)?127\.0\.0\.1)$/

describe('the TCP listener', () => {
  function listener() {
    const connections: { readonly socket: Socket; readonly info: ConnectionInfo }[] = []
    const tcp = createTcpListener({
      onConnection: (socket, info) => connections.push({ socket, info }),
    })
    onTeardown(() => tcp.close())
    return { tcp, connections }
  }

  it('tells the port that it got, and hands over connections', async () => {
    const { tcp, connections } = listener()
    const port = await tcp.listen(0, '127.0.0.1')
    const peer = connect(port)
    onTeardown(() => peer.destroy())
    peer.write('x')
    while (connections.length === 0) await once(peer, 'connect')
    expect(connections[0]?.info.transport).to.equal('tcp')
    expect(connections[0]?.info.remoteAddress).to.match(LOCAL)
  })

  it("fails with the system's own error when the port is taken, and may try again", async () => {
    const first = listener()
    const second = listener()
    const port = await first.tcp.listen(0, '127.0.0.1')
    const error = await second.tcp.listen(port, '127.0.0.1').catch((reason: unknown) => reason)
    expect((error as NodeJS.ErrnoException).code).to.equal('EADDRINUSE')
    await first.tcp.close()
    expect(await second.tcp.listen(port, '127.0.0.1')).to.equal(port)
  })

  it('cuts its connections when it closes, however often', async () => {
    const { tcp } = listener()
    const peer = connect(await tcp.listen(0, '127.0.0.1'))
    peer.on('error', () => {})
    await once(peer, 'connect')
    const gone = once(peer, 'close')
    await Promise.all([tcp.close(), tcp.close()])
    await gone
    await tcp.close()
  })

  it('can be closed before it listens', async () => {
    await listener().tcp.close()
  })
})

describe('the WebSocket listener', () => {
  async function listen(prepare?: (http: Server) => void) {
    const http = createServer()
    prepare?.(http)
    const infos: ConnectionInfo[] = []
    const listener = attachWebSocketListener(http, {
      onConnection: (_stream, info) => infos.push(info),
    })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    onTeardown(() => new Promise((done) => http.close(done)))
    onTeardown(() => listener.close())
    const base = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`

    function open(path: string, protocols: string[] = ['mqtt']): WebSocket {
      const socket = new WebSocket(base + path, protocols)
      socket.on('error', () => {})
      onTeardown(() => socket.terminate())
      return socket
    }
    return { http, listener, infos, open }
  }

  const offers: [offered: string[], chosen: string][] = [
    [['mqtt'], 'mqtt'],
    [['mqttv3.1'], 'mqttv3.1'],
    [['mqttv3.1', 'mqtt'], 'mqtt'],
    [['chat', 'mqttv3.1'], 'mqttv3.1'],
    [[], ''],
  ]
  for (const [offered, chosen] of offers) {
    it(`answers the offer of ${offered.join(' and ') || 'nothing'} with ${chosen || 'nothing'}`, async () => {
      const { open } = await listen()
      const socket = open('/mqtt', offered)
      await once(socket, 'open')
      expect(socket.protocol).to.equal(chosen)
    })
  }

  it('hands over the upgrade request and the address', async () => {
    const { open, infos } = await listen()
    await once(open('/mqtt?token=1'), 'open')
    expect(infos[0]?.request?.url).to.equal('/mqtt?token=1')
    expect(infos[0]?.remoteAddress).to.match(LOCAL)
  })

  it('does not compress', async () => {
    const { open } = await listen()
    const socket = open('/mqtt')
    await once(socket, 'open')
    expect(socket.extensions).to.equal('')
  })

  it('answers other paths with 404', async () => {
    const { open } = await listen()
    for (const path of ['/', '/mqtt/', '/mqtts', '/other']) {
      const [, response] = (await once(open(path), 'unexpected-response')) as [
        unknown,
        IncomingMessage,
      ]
      expect(response.statusCode).to.equal(404)
    }
  })

  it('leaves other paths to whoever else takes upgrades', async () => {
    const { open } = await listen((http) =>
      http.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
        if (request.url === '/theirs') socket.end('HTTP/1.1 418 Theirs\r\n\r\n')
      }),
    )
    const [, response] = (await once(open('/theirs'), 'unexpected-response')) as [
      unknown,
      IncomingMessage,
    ]
    expect(response.statusCode).to.equal(418)
    await once(open('/mqtt'), 'open')
  })

  it('leaves the HTTP server and cuts its connections when it closes, however often', async () => {
    const { http, listener, open } = await listen()
    const socket = open('/mqtt')
    await once(socket, 'open')
    const gone = once(socket, 'close')
    await Promise.all([listener.close(), listener.close()])
    await gone
    expect(http.listenerCount('upgrade')).to.equal(0)
    await listener.close()
  })
})
