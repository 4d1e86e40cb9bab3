import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import type { IConnackPacket, IConnectPacket, IPublishPacket } from 'mqtt-packet'
import { createWebSocketStream, WebSocket } from 'ws'
import { openPeer, type MqttPeer, type PeerOptions } from '../../helpers/mqtt-peer.ts'
import { within } from '../../helpers/within.ts'
import { tokenFor } from './tokens.ts'

/** One of the ways to try it. */
export interface Way {
  readonly version: 4 | 5
  readonly transport: 'tcp' | 'websocket'
}

/** Both versions over both transports. */
export const WAYS: readonly Way[] = ([4, 5] as const).flatMap((version) => [
  { version, transport: 'tcp' },
  { version, transport: 'websocket' },
])

/** Where the server under attack listens. */
export interface Target {
  readonly mqttPort: number
  readonly httpPort: number
}

/** A peer with what its CONNECT was answered with. */
export interface Guest extends MqttPeer {
  readonly connack: IConnackPacket
  readonly clientId: string
}

/** How somebody knocks. */
export interface Knock extends PeerOptions {
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly protocols?: readonly string[]
}

/** Opens a connection; rejects with the status when a WebSocket is refused. */
export async function openStream(
  { mqttPort, httpPort }: Target,
  { transport }: Way,
  { query = '', headers = {}, protocols = [] }: Knock = {},
): Promise<Duplex> {
  if (transport === 'tcp') return connectTcp({ port: mqttPort, host: '127.0.0.1', noDelay: true })
  const url = `ws://127.0.0.1:${httpPort}/mqtt${query}`
  const socket = new WebSocket(url, ['mqtt', ...protocols], { headers: { ...headers } })
  socket.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('unexpected-response', (_request, { statusCode }) =>
      reject(new Error(`${statusCode}`)),
    )
  })
  return createWebSocketStream(socket)
}

let ids = 0

/** Connects, whatever the answer is. */
export async function knock(target: Target, way: Way, options: Knock = {}): Promise<Guest> {
  const { query, headers, protocols, ...connect } = options
  const stream = await openStream(target, way, {
    ...(query !== undefined && { query }),
    ...(headers && { headers }),
    ...(protocols && { protocols }),
  })
  let connack: IConnackPacket | undefined
  stream.on('packet', (packet: { cmd: string }) => {
    if (packet.cmd === 'connack') connack = packet as IConnackPacket
  })
  const clientId = options.clientId ?? `c${++ids}`
  const peer = await within(5000, 'CONNACK', openPeer(stream, { ...way, ...connect, clientId }))
  if (!connack) throw new Error('expected CONNACK')
  return Object.assign(peer, { connack, clientId })
}

/** Connects with a token for a user. */
export async function enter(
  target: Target,
  way: Way,
  user: string,
  claims: Readonly<Record<string, unknown>> = {},
  connect: Knock = {},
): Promise<Guest> {
  const password = Buffer.from(await tokenFor(user, { claims }))
  const guest = await knock(target, way, { username: user, password, ...connect })
  const code = codeOf(guest.connack)
  if (code !== 0) throw new Error(`expected to be let in, got ${code}`)
  return guest
}

/** What a CONNECT was answered with. */
export function codeOf({ returnCode, reasonCode }: IConnackPacket): number | undefined {
  return reasonCode ?? returnCode
}

/** Publishes at QoS 1 and waits for the answer's reason code; 0 in 3.1.1. */
export async function publish(
  peer: MqttPeer,
  topic: string,
  payload: string,
  options: Partial<IPublishPacket> = {},
): Promise<number> {
  const packet = {
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    messageId: ++ids,
    retain: false,
  } as const
  const answer = await within(
    5000,
    `PUBACK for ${topic}`,
    peer.request({ dup: false, ...packet, ...options }, 'puback'),
  )
  return answer.reasonCode ?? 0
}

/** Resolves when the connection has answered a ping: it is open. */
export function ping(peer: MqttPeer): Promise<unknown> {
  return within(5000, 'PINGRESP', peer.request({ cmd: 'pingreq' }, 'pingresp'))
}

/** Cuts the connection without DISCONNECT. */
export async function cut({ stream }: MqttPeer): Promise<void> {
  if (stream.destroyed) return
  const closed = once(stream, 'close')
  stream.destroy()
  await closed
}

/** The CONNECT of a session that outlives its connection. */
export function persistent(way: Way): Partial<Omit<IConnectPacket, 'cmd' | 'protocolVersion'>> {
  return way.version === 5
    ? { clean: false, properties: { sessionExpiryInterval: 3600 } }
    : { clean: false }
}
