import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { generate, writeToStream, type IPublishPacket } from 'mqtt-packet'
import { WebSocket } from 'ws'
import type { OnConnection } from '../../broker/transport/connection-info.ts'
import type { WebSocketDuplex } from '../../broker/transport/websocket-duplex.ts'
import { attachWebSocketListener } from '../../broker/transport/websocket-listener.ts'
import { onTeardown } from '../helpers/teardown.ts'

/** A frame of 64 KiB, to fill what lies between two processes. */
const CHUNK = Buffer.alloc(64 * 1024, 'x')

function publish(payload: string | Buffer): IPublishPacket {
  return { cmd: 'publish', topic: 'a/b', payload, qos: 1, messageId: 7, retain: false, dup: false }
}

describe('a WebSocket stream', () => {
  /** Both ends of a connection, and the frames that the peer has received. */
  async function connect(maxFrameBytes = 1024 * 1024, isWelcome = true) {
    const http = createServer().listen(0)
    onTeardown(() => new Promise((done) => http.close(done)))
    await once(http, 'listening')
    const accepted = new Promise<WebSocketDuplex>((resolve) => {
      const onConnection: OnConnection<WebSocketDuplex> = (duplex, { welcome }) => {
        if (isWelcome) welcome?.()
        resolve(duplex)
      }
      const listener = attachWebSocketListener(http, { onConnection, maxFrameBytes })
      onTeardown(() => listener.close())
    })
    const peer = new WebSocket(
      `ws://localhost:${(http.address() as AddressInfo).port}/mqtt`,
      'mqtt',
    )
    onTeardown(() => peer.terminate())
    const frames: Buffer[] = []
    peer.on('message', (data) => frames.push(data as Buffer))
    await once(peer, 'open')
    const duplex = await accepted
    duplex.on('error', () => {})
    return { duplex, peer, frames }
  }

  /** Waits until the peer has so many bytes. */
  async function received(
    peer: WebSocket,
    frames: readonly Buffer[],
    bytes: number,
  ): Promise<void> {
    while (frames.reduce((sum, frame) => sum + frame.length, 0) < bytes) await once(peer, 'message')
  }

  it('sends a packet that is written in many pieces as one frame', async () => {
    const { duplex, peer, frames } = await connect()
    const packet = { ...publish('hello'), properties: { contentType: 'text/plain' } }
    writeToStream(packet, duplex, { protocolVersion: 5 })
    const expected = generate(packet, { protocolVersion: 5 })
    await received(peer, frames, expected.length)
    expect(frames).to.deep.equal([expected])
  })

  it('sends the packets of one turn as one frame', async () => {
    const { duplex, peer, frames } = await connect()
    const packets = ['one', 'two', 'three'].map(publish)
    for (const packet of packets) writeToStream(packet, duplex)
    const expected = Buffer.concat(packets.map((packet) => generate(packet)))
    await received(peer, frames, expected.length)
    expect(frames).to.deep.equal([expected])
  })

  it('sends no frame for an empty write', async () => {
    const { duplex, peer, frames } = await connect()
    duplex.write('before')
    await new Promise((resolve) => duplex.write(Buffer.alloc(0), resolve))
    duplex.write('after')
    await received(peer, frames, 'before'.length + 'after'.length)
    expect(frames.map(String)).to.deep.equal(['before', 'after'])
  })

  it('never needs more frames than packets, nor one frame for a whole backlog', async () => {
    const { duplex, peer, frames } = await connect()
    const packets = Array.from('abcdefgh', (letter) => publish(Buffer.alloc(100_000, letter)))
    for (const packet of packets) writeToStream(packet, duplex)
    const expected = Buffer.concat(packets.map((packet) => generate(packet)))
    await received(peer, frames, expected.length)
    expect(Buffer.concat(frames).equals(expected)).to.equal(true)
    expect(frames.length).to.be.within(2, packets.length)
  })

  it('reads frames as a stream of bytes, whatever their borders', async () => {
    const { duplex, peer } = await connect()
    for (const part of ['one', '', 'packet in three frames']) peer.send(Buffer.from(part))
    const parts: Buffer[] = []
    while (Buffer.concat(parts).length < 25) {
      const part = duplex.read() as Buffer | null
      if (part) parts.push(part)
      else await once(duplex, 'readable')
    }
    expect(Buffer.concat(parts).toString()).to.equal('onepacket in three frames')
  })

  it('stops the peer while nobody reads, and loses nothing', async () => {
    const { duplex, peer } = await connect()
    const count = 512
    for (let i = 0; i < count; i++) peer.send(CHUNK)
    // The peer is stopped when what it could not send stays the same over many round trips.
    for (let same = 0, before = -1; same < 20; before = peer.bufferedAmount) {
      duplex.write('tick')
      await once(peer, 'message')
      same = peer.bufferedAmount === before ? same + 1 : 0
    }
    expect(peer.bufferedAmount).to.be.greaterThan(8 * 1024 * 1024)
    expect(duplex.readableLength).to.be.lessThan(1024 * 1024)

    let bytes = 0
    for await (const part of duplex) {
      bytes += (part as Buffer).length
      if (bytes === count * CHUNK.length) break
    }
    expect(bytes).to.equal(count * CHUNK.length)
  })

  it('counts what is queued for a peer that does not read, until the socket has taken it', async () => {
    const { duplex, peer, frames } = await connect()
    peer.pause()
    const count = 256
    for (let i = 0; i < count; i++) duplex.write(CHUNK)
    expect(duplex.writableNeedDrain).to.equal(true)
    expect(duplex.writableLength).to.equal(count * CHUNK.length)
    peer.resume()
    await Promise.all([once(duplex, 'drain'), received(peer, frames, count * CHUNK.length)])
    expect(duplex.writableLength).to.equal(0)
  })

  it('ends when the peer closes', async () => {
    const { duplex, peer } = await connect()
    peer.close(1001)
    duplex.resume()
    await once(duplex, 'end')
  })

  it('ends when the connection breaks', async () => {
    const { duplex, peer } = await connect()
    peer.terminate()
    duplex.resume()
    await once(duplex, 'end')
  })

  it('hands over what came before the end', async () => {
    const { duplex, peer } = await connect()
    peer.send(Buffer.from('last words'))
    peer.close()
    const parts = await duplex.toArray()
    expect(Buffer.concat(parts).toString()).to.equal('last words')
  })

  it('closes with 1003 and ends when the peer sends text', async () => {
    const { duplex, peer } = await connect()
    let failure: unknown
    duplex.on('error', (error) => (failure = error))
    const closed = once(peer, 'close')
    peer.send('text')
    peer.send(Buffer.from('more'))
    const parts = await duplex.toArray()
    const [code] = await closed
    expect(code).to.equal(1003)
    expect(parts).to.deep.equal([])
    expect(failure).to.equal(undefined)
  })

  it('tells the peer why it closes, however much is on the way to it', async () => {
    const { duplex, peer } = await connect()
    peer.pause()
    for (let i = 0; i < 256; i++) duplex.write(CHUNK)
    peer.send('text')
    duplex.resume()
    await once(duplex, 'end')
    duplex.destroy()
    const closed = once(peer, 'close')
    peer.resume()
    const [code] = await closed
    expect(code).to.equal(1003)
  })

  it('closes with 1009 and fails when a frame is too large', async () => {
    const { duplex, peer } = await connect(1000)
    const failed = once(duplex, 'error')
    const closed = once(peer, 'close')
    peer.send(Buffer.alloc(1001))
    const [error] = (await failed) as [Error & { code?: string }]
    const [code] = await closed
    expect(error.code).to.equal('WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
    expect(code).to.equal(1009)
  })

  it('takes no large frame from who has not said who he is', async () => {
    const large = Buffer.alloc(100 * 1024)
    const known = await connect(1024 * 1024)
    known.peer.send(large)
    await once(known.duplex, 'readable')
    const stranger = await connect(1024 * 1024, false)
    const closed = once(stranger.peer, 'close')
    stranger.peer.send(large)
    expect((await closed)[0]).to.equal(1009)
  })

  it('cuts the connection when it is destroyed', async () => {
    const { duplex, peer } = await connect()
    const closed = once(peer, 'close')
    duplex.destroy()
    const [code] = await closed
    expect(code).to.equal(1006)
  })

  it('closes with 1000 when it is ended, after what was written', async () => {
    const { duplex, peer, frames } = await connect()
    const closed = once(peer, 'close')
    duplex.end('goodbye')
    duplex.resume()
    const [code] = await closed
    expect(code).to.equal(1000)
    expect(Buffer.concat(frames).toString()).to.equal('goodbye')
  })

  it('does not fail when it is written to after the peer has said goodbye', async () => {
    const { duplex, peer } = await connect()
    let failure: unknown
    duplex.on('error', (error) => (failure = error))
    peer.close()
    await once(peer, 'close')
    duplex.write('too late')
    duplex.resume()
    await once(duplex, 'close')
    expect(failure).to.equal(undefined)
  })

  it('tells when the peer answers a ping', async () => {
    const { duplex } = await connect()
    const pong = once(duplex, 'pong')
    duplex.ping()
    await pong
  })

  it('knows where the peer is', async () => {
    const { duplex } = await connect()
    expect(duplex.remoteAddress).to.match(/^(::1|(::ffff:)?127\.0\.0\.1)$/)
  })
})
