import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  generate,
  parser,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type ISubackPacket,
  type ISubscribePacket,
  type ISubscription,
  type Packet,
} from 'mqtt-packet'
import { onTeardown } from './teardown.ts'

/**
 * An MQTT client that shows every packet as it came and does nothing by itself: no acknowledgements, no
 * pings, no reconnecting. What mqtt.js hides (flags, order, duplicates) can be asserted.
 */
export interface MqttPeer {
  readonly stream: Duplex
  /** What its CONNECT was answered. */
  readonly connack: IConnackPacket
  /** Every packet so far, in order. */
  readonly packets: readonly Packet[]
  /** Every PUBLISH so far, in order. */
  readonly messages: IPublishPacket[]
  send(packet: Packet): void
  /** Acknowledges everything from now on, as a client has to. */
  acknowledge(): void
  /** Forgets what has come so far. */
  forget(): void
  /** Resolves when the connection is closed, with the reason code of a DISCONNECT that came before. */
  readonly closed: Promise<number | undefined>
  /** Sends a packet and waits for the next one of the kind that answers it. */
  request<Cmd extends Packet['cmd']>(
    packet: Packet,
    answer: Cmd,
  ): Promise<Extract<Packet, { cmd: Cmd }>>
  subscribe(
    subscriptions: Wanted,
    properties?: ISubscribePacket['properties'],
  ): Promise<ISubackPacket>
  publish(packet: Partial<IPublishPacket> & { topic: string }): void
  /** The messages up to the first one on a topic, without it. Fails when the connection ends before. */
  until(topic: string): Promise<IPublishPacket[]>
  /** The first so many messages. Fails when the connection ends before. */
  first(count: number): Promise<IPublishPacket[]>
}

type Wanted = readonly (Partial<ISubscription> & { topic: string })[]

/** Options of {@link openPeer}. */
export interface PeerOptions extends Partial<Omit<IConnectPacket, 'cmd' | 'protocolVersion'>> {
  readonly version?: 3 | 4 | 5
}

/** Somebody who speaks version 5. */
export const V5 = { version: 5 } as const satisfies PeerOptions

/** Somebody whose session outlives the connection. */
export const SLEEPER = {
  ...V5,
  clientId: 'sleeper',
  clean: false,
  properties: { sessionExpiryInterval: 600 },
} as const satisfies PeerOptions

/** Connects to a TCP port of this machine and waits for the CONNACK; cut at the end of the test. */
export async function connectPeer(port: number, options: PeerOptions = {}): Promise<MqttPeer> {
  return openPeer(connectTcp({ port, noDelay: true }), options)
}

/** Speaks MQTT over an open or opening stream and waits for the CONNACK. */
export async function openPeer(stream: Duplex, options: PeerOptions = {}): Promise<MqttPeer> {
  const { version = 4, ...connect } = options
  const received: Packet[] = []
  const messages: IPublishPacket[] = []
  const incoming = parser({ protocolVersion: version })
  let nextId = 1
  onTeardown(() => stream.destroy())

  incoming.on('packet', (packet) => {
    received.push(packet)
    if (packet.cmd === 'publish') messages.push(packet)
    stream.emit('packet', packet)
  })
  stream.on('data', (chunk: Buffer) => incoming.parse(chunk))
  // How a connection ended is for the test to look at; without a listener it would end the test run.
  stream.on('error', () => {})

  const closed = new Promise<number | undefined>((resolve) => {
    stream.once('close', () => {
      const last = received.findLast(({ cmd }) => cmd === 'disconnect')
      resolve(last?.cmd === 'disconnect' ? last.reasonCode : undefined)
    })
  })
  const peer = {
    stream,
    messages,
    packets: received,
    closed,
    send: (packet: Packet) => void stream.write(generate(packet, { protocolVersion: version })),
    acknowledge() {
      const answer = (packet: Packet): void => {
        const { cmd, messageId = 0 } = packet
        if (cmd === 'publish' && packet.qos === 1) peer.send({ cmd: 'puback', messageId })
        else if (cmd === 'publish' && packet.qos === 2) peer.send({ cmd: 'pubrec', messageId })
        else if (cmd === 'pubrel') peer.send({ cmd: 'pubcomp', messageId })
        else if (cmd === 'pubrec') peer.send({ cmd: 'pubrel', messageId })
      }
      for (const packet of received) answer(packet)
      stream.on('packet', answer)
    },
    forget() {
      received.length = 0
      messages.length = 0
    },
    async request<Cmd extends Packet['cmd']>(
      packet: Packet,
      answer: Cmd,
    ): Promise<Extract<Packet, { cmd: Cmd }>> {
      const from = received.length
      peer.send(packet)
      let found: Packet | undefined
      await when(() => (found = received.find(({ cmd }, at) => at >= from && cmd === answer)))
      return found as never
    },
    async subscribe(subscriptions: Wanted, properties?: ISubscribePacket['properties']) {
      const wanted = subscriptions.map((one) => ({ qos: 0 as const, ...one }))
      const packet = { cmd: 'subscribe', messageId: nextId++, subscriptions: wanted } as const
      return peer.request({ ...packet, ...(properties ? { properties } : {}) }, 'suback')
    },
    publish(packet: Partial<IPublishPacket> & { topic: string }) {
      const messageId = packet.qos ? { messageId: nextId++ } : {}
      const defaults = { cmd: 'publish', payload: '', qos: 0, retain: false, dup: false } as const
      peer.send({ ...defaults, ...messageId, ...packet })
    },
    async until(topic: string) {
      let end = -1
      await when(() => (end = messages.findIndex((one) => one.topic === topic)) >= 0)
      return messages.slice(0, end)
    },
    async first(count: number) {
      await when(() => messages.length >= count)
      return messages.slice(0, count)
    },
  }

  /** Resolves when something is true after a packet, fails when the connection ends before. */
  async function when(isTrue: () => unknown): Promise<void> {
    while (!isTrue()) {
      if (stream.destroyed) throw new Error('the connection has ended')
      await new Promise<void>((resolve) => {
        const look = (): void => {
          stream.off('packet', look).off('close', look)
          resolve()
        }
        stream.on('packet', look).on('close', look)
      })
    }
  }

  const clientId = `peer-${Math.random().toString(36).slice(2)}`
  const protocolId = version === 3 ? 'MQIsdp' : 'MQTT'
  const connack = await peer.request(
    { cmd: 'connect', clientId, clean: true, ...connect, protocolId, protocolVersion: version },
    'connack',
  )
  return { ...peer, connack }
}

/** Resolves when everything that a peer has sent before has been dealt with. */
export function settled(peer: MqttPeer): Promise<unknown> {
  return peer.request({ cmd: 'pingreq' }, 'pingresp')
}

/** What messages say, in order. */
export function said(messages: readonly IPublishPacket[]): string[] {
  return messages.map(({ payload }) => payload.toString())
}
