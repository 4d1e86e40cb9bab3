import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { generate, parser, type Packet } from 'mqtt-packet'
import { WebSocket } from 'ws'
import { createTopics } from '../../protocol/index.ts'
import { urlOf, VERSIONS, type Address, type ClientOptions } from './connect-options.ts'
import { onTeardown } from './teardown.ts'

/** An MQTT connection that sends nothing by itself, but pongs, and never gives a server up. */
export interface RawClient {
  readonly user: string
  /** When it last sent an MQTT packet, by `performance.now()`. */
  readonly spokeAt: number
  /** Whether the server has ended it. */
  readonly isClosed: boolean
  /** Publishes on its own presence topic; resolves with the acknowledgement. */
  say(document: object): Promise<void>
  /** Sends PINGREQ. */
  ping(): void
}

/** Who connects. */
export interface RawClientOptions extends Pick<ClientOptions, 'version' | 'transport'> {
  readonly user: string
  /** In seconds. */
  readonly keepalive: number
  /** Whether it answers WebSocket pings. @default true */
  readonly pongs?: boolean
}

/** A socket as far as it matters here. */
interface Wire {
  send(bytes: Buffer): void
}

/** Connects; resolves with CONNACK. The socket is cut at the end of the test. */
export async function connectRaw(address: Address, options: RawClientOptions): Promise<RawClient> {
  const { user, version = '3.1.1', keepalive } = options
  const clientId = randomUUID()
  const protocolVersion = VERSIONS[version]
  const packets = parser({ protocolVersion })
  const waiting = new Map<string, () => void>()
  packets.on('packet', ({ cmd }: Packet) => waiting.get(cmd)?.())
  let spokeAt = 0
  let isClosed = false
  const open = options.transport === 'tcp' ? openTcp : openWebSocket
  const wire = await open(
    address,
    options,
    (bytes) => void packets.parse(bytes),
    () => (isClosed = true),
  )

  function send(packet: Packet): void {
    spokeAt = performance.now()
    wire.send(generate(packet, { protocolVersion }))
  }

  function answer(cmd: string): Promise<void> {
    return new Promise((resolve) => waiting.set(cmd, resolve))
  }

  const connected = answer('connack')
  send({
    cmd: 'connect',
    protocolId: version === '3.1' ? 'MQIsdp' : 'MQTT',
    protocolVersion,
    clean: true,
    clientId,
    keepalive,
    username: user,
  })
  await connected
  return {
    user,
    get spokeAt() {
      return spokeAt
    },
    get isClosed() {
      return isClosed
    },
    async say(document) {
      const acknowledged = answer('puback')
      const topic = createTopics().connection(user, clientId)
      const payload = JSON.stringify(document)
      send({ cmd: 'publish', topic, payload, qos: 1, messageId: 1, retain: false, dup: false })
      await acknowledged
    },
    ping: () => send({ cmd: 'pingreq' }),
  }
}

type Open = (
  address: Address,
  options: RawClientOptions,
  onBytes: (bytes: Buffer) => void,
  onClose: () => void,
) => Promise<Wire>

const openTcp: Open = async ({ host, mqttPort }, _options, onBytes, onClose) => {
  const socket = connectTcp({ host, port: mqttPort, noDelay: true })
  onTeardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.on('data', onBytes)
  socket.on('error', () => {})
  socket.on('close', onClose)
  return { send: (bytes) => void socket.write(bytes) }
}

const openWebSocket: Open = async (address, { version, pongs = true }, onBytes, onClose) => {
  const socket = new WebSocket(
    urlOf(address, 'websocket'),
    version === '3.1' ? 'mqttv3.1' : 'mqtt',
    { autoPong: pongs },
  )
  onTeardown(() => socket.terminate())
  await once(socket, 'open')
  socket.on('message', (data) => onBytes(data as Buffer))
  socket.on('error', () => {})
  socket.on('close', onClose)
  return { send: (bytes) => socket.send(bytes) }
}
