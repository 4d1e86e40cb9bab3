import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { createBroker, type Broker, type BrokerOptions } from '../../../broker/index.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { within } from '../../helpers/within.ts'

/** A real broker on both transports, and the way to it. */
export interface House {
  readonly broker: Broker
  connect(transport?: Transport): Promise<Stranger>
  close(): Promise<void>
}

export type Transport = 'tcp' | 'websocket'

/** Somebody who sends whatever bytes and shows what comes back. */
export interface Stranger {
  /** Sends bytes; in pieces of so many bytes, each in a turn of its own. */
  send(bytes: Buffer, pieceBytes?: number): Promise<void>
  /** Everything that has come so far. */
  received(): Buffer
  /** Sends PINGREQ and waits for the answer; what has come without it. Rejects when the connection is closed. */
  untilPingAnswered(): Promise<Buffer>
  /** What comes before the connection is closed. */
  untilClosed(): Promise<Buffer>
  /** Waits until so many bytes have come. */
  untilReceived(bytes: number): Promise<Buffer>
  readonly isClosed: boolean
  /** Says that nothing more comes, and still reads. */
  end(): void
  /** Is gone without a word. */
  cut(): void
}

const PINGREQ = Buffer.from([0xc0, 0])

/** Starts a broker. */
export async function openHouse(options: BrokerOptions = {}): Promise<House> {
  const httpServer = createServer()
  httpServer.listen(0, '127.0.0.1')
  await once(httpServer, 'listening')
  const broker = await createBroker({ mqttPort: 0, httpServer, ...options })
  const { port } = httpServer.address() as AddressInfo
  return {
    broker,
    connect: (transport = 'tcp') =>
      transport === 'tcp'
        ? byTcp(broker.mqttPort ?? 0)
        : byWebSocket(`ws://127.0.0.1:${port}/mqtt`),
    async close() {
      await broker.close()
      httpServer.close()
    },
  }
}

/** Starts a broker for one test. */
export async function openHouseForTest(options?: BrokerOptions): Promise<House> {
  const house = await openHouse(options)
  onTeardown(() => house.close())
  return house
}

interface Wire {
  write(bytes: Buffer): void
  end(): void
  cut(): void
}

async function byTcp(port: number): Promise<Stranger> {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const { stranger, receive, close } = createStranger({
    write: (bytes) => void socket.write(bytes),
    end: () => void socket.end(),
    cut: () => void socket.resetAndDestroy(),
  })
  socket.on('data', receive).on('close', close)
  socket.on('end', () => socket.end())
  // A reset is a way to close, too.
  socket.on('error', () => {})
  await once(socket, 'connect')
  return stranger
}

async function byWebSocket(url: string): Promise<Stranger> {
  const socket = new WebSocket(url, 'mqtt')
  const { stranger, receive, close } = createStranger({
    write: (bytes) => socket.send(bytes),
    end: () => socket.close(),
    cut: () => socket.terminate(),
  })
  socket.on('message', (data) => receive(data as Buffer)).on('close', close)
  socket.on('error', () => {})
  await once(socket, 'open')
  return stranger
}

function createStranger(wire: Wire) {
  const chunks: Buffer[] = []
  let isClosed = false
  let onChange = (): void => {}

  function receive(chunk: Buffer): void {
    chunks.push(chunk)
    onChange()
  }

  function close(): void {
    isClosed = true
    onChange()
  }

  function received(): Buffer {
    return Buffer.concat(chunks)
  }

  function until(what: string, isTrue: () => boolean): Promise<void> {
    const changed = new Promise<void>((resolve, reject) => {
      onChange = () => {
        if (isTrue()) resolve()
        else if (isClosed) reject(new Error(`closed, after ${received().toString('hex')}`))
      }
      onChange()
    })
    return within(5000, what, changed)
  }

  const stranger: Stranger = {
    async send(bytes, pieceBytes = Infinity) {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        wire.write(bytes.subarray(at, Math.min(bytes.length, at + pieceBytes)))
        if (pieceBytes !== Infinity) await turn()
      }
    },
    received,
    async untilPingAnswered() {
      wire.write(PINGREQ)
      await until('an answer to PINGREQ', () => split(received()).some(isPingResponse))
      return Buffer.concat(split(received()).filter((packet) => !isPingResponse(packet)))
    },
    async untilClosed() {
      await until('the end', () => isClosed)
      return received()
    },
    async untilReceived(bytes) {
      await until(`${bytes} bytes`, () => received().length >= bytes)
      return received()
    },
    get isClosed() {
      return isClosed
    },
    end: () => wire.end(),
    cut: () => wire.cut(),
  }
  onTeardown(() => wire.cut())
  return { stranger, receive, close }
}

/** The packets of what has come, each shorter than 16 KiB. */
function split(bytes: Buffer): Buffer[] {
  const packets: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const low = bytes[at + 1] ?? 0
    const length = low < 128 ? 2 + low : 3 + (low & 127) + 128 * (bytes[at + 2] ?? 0)
    packets.push(bytes.subarray(at, at + length))
    at += length
  }
  return packets
}

function isPingResponse(packet: Buffer): boolean {
  return packet.equals(Buffer.from([0xd0, 0]))
}
