import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { generate, type ISubscription, type Packet } from 'mqtt-packet'

/** How a reader is connected. */
export type Transport = 'tcp' | 'websocket'

/** What arrived, at all readers of a group together. */
export interface Arrivals {
  /** Bytes of MQTT. */
  bytes: number
  /** WebSocket frames with data. */
  frames: number
}

/**
 * Connects a subscriber that counts what arrives and does nothing else with it, so that the broker is what is
 * measured: the socket reads into one buffer for all, and nothing is decoded but frame headers. Resolves
 * at SUBACK.
 */
export async function connectReader(
  transport: Transport,
  port: number,
  topic: string,
  onData: (bytes: number, frames: number) => void,
): Promise<Socket> {
  const isWebSocket = transport === 'websocket'
  const unframe = createUnframer((pong) => socket.write(pong))
  let isUpgraded = !isWebSocket
  /** Bytes of CONNACK and SUBACK that have come. */
  let greeted = 0
  let onGreeting: () => void = () => {}

  function receive(bytes: number, chunk: Buffer): boolean {
    if (!isUpgraded) {
      // The answer to the upgrade comes alone, since the broker has nothing to say before CONNECT.
      isUpgraded = true
      onGreeting()
      return true
    }
    const arrived = isWebSocket ? unframe(chunk.subarray(0, bytes)) : { bytes, frames: 0 }
    if (greeted < CONNACK_BYTES + SUBACK_BYTES) {
      greeted += arrived.bytes
      onGreeting()
    } else {
      onData(arrived.bytes, arrived.frames)
    }
    return true
  }

  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: SHARED_BUFFER,
      callback: (bytes, buffer) => receive(bytes, buffer as Buffer),
    },
  })
  const send = (bytes: Buffer | string, isAnswered: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      onGreeting = () => isAnswered() && resolve()
      socket.once('close', () => reject(new Error('the broker has closed the connection')))
      socket.write(bytes)
    })
  const say = (packet: Packet, answered: number): Promise<void> => {
    const bytes = generate(packet)
    return send(isWebSocket ? frame(0x82, bytes) : bytes, () => greeted >= answered)
  }

  if (isWebSocket) await send(upgradeRequest(), () => isUpgraded)
  const clientId = randomBytes(8).toString('hex')
  await say({ cmd: 'connect', clientId, keepalive: 0, clean: true }, CONNACK_BYTES)
  const subscriptions: [ISubscription] = [{ topic, qos: 0 }]
  await say({ cmd: 'subscribe', messageId: 1, subscriptions }, CONNACK_BYTES + SUBACK_BYTES)
  socket.removeAllListeners('close')
  return socket
}

const CONNACK_BYTES = 4
const SUBACK_BYTES = 5
const SHARED_BUFFER = Buffer.alloc(256 * 1024)

function upgradeRequest(): string {
  const key = randomBytes(16).toString('base64')
  return [
    'GET /mqtt HTTP/1.1',
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Protocol: mqtt',
    '\r\n',
  ].join('\r\n')
}

/** A frame of a client, with a mask of zeros: legal, and the payload stays as it is. */
function frame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

/** Counts the payload bytes and data frames in a stream of WebSocket frames; answers pings. */
function createUnframer(answer: (pong: Buffer) => void): (chunk: Buffer) => Arrivals {
  let header = Buffer.alloc(0)
  let remaining = 0
  let isData = false
  return (chunk) => {
    const arrived = { bytes: 0, frames: 0 }
    let at = 0
    while (at < chunk.length) {
      if (remaining === 0) {
        const known = header.length
        header = Buffer.concat([header, chunk.subarray(at, at + 10 - known)])
        const short = (header[1] ?? 0) & 0x7f
        const needed = short === 127 ? 10 : short === 126 ? 4 : 2
        if (header.length < needed) return arrived
        at += needed - known
        remaining =
          needed === 10
            ? Number(header.readBigUInt64BE(2))
            : needed === 4
              ? header.readUInt16BE(2)
              : short
        const opcode = (header[0] ?? 0) & 0x0f
        isData = opcode === 2 || opcode === 0
        if (isData) arrived.frames++
        // The pings of these brokers carry nothing.
        if (opcode === 9) answer(frame(0x8a, Buffer.alloc(0)))
        header = Buffer.alloc(0)
      }
      const taken = Math.min(remaining, chunk.length - at)
      if (isData) arrived.bytes += taken
      remaining -= taken
      at += taken
    }
    return arrived
  }
}
