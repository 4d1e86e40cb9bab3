import type { EventEmitter } from 'node:events'
import type { Aedes, AedesPublishPacket, Client, PublishPacket } from 'aedes'
import type { QoS } from 'mqtt-packet'

/*
 * Everything inside Aedes that this folder relies on beyond Aedes' documented interface, as it is in
 * 2.0.0-beta.1, which is why package.json pins that version. Read each member's place in the new source
 * before the pin moves.
 */

/** What Aedes emits: a message with the id of the client that published it (`emitPacket` in aedes.js). */
export type EmittedPacket = AedesPublishPacket & { readonly clientId?: string }

/** How Aedes hands a message to a listener of its emitter; `done` says that it was taken. */
export type Notify = (packet: EmittedPacket, done: () => void) => void

/**
 * What a client subscribed to (lib/handlers/subscribe.js, class Subscription). Aedes puts it into
 * `client.subscriptions` and passes its `func` to the emitter right after, in the same turn.
 */
export interface AedesSubscription {
  /** The granted QoS. */
  readonly qos: QoS
  /** Delivers to this client; the listener that the emitter is given. */
  readonly func: Notify
  /** Version 5: retain as published. */
  readonly rap?: boolean
  /** Version 5: no local. */
  readonly nl?: boolean
  /** Version 5: subscription identifier. */
  readonly si?: number
}

/** A connected client (lib/client.js). */
export interface AedesClient extends Client {
  /** By filter. */
  subscriptions: Record<string, AedesSubscription>
  /** By broker id, the number of the last message that was delivered (`dedupe` in lib/client.js). */
  duplicates: Record<string, number>
  /** Set a turn after CONNACK was written; before it nothing else may be sent [MQTT-3.2.0-1]. */
  readonly connackSent: boolean
  /** Set by an error of the connection, before `closed`. */
  readonly errored: boolean
  /** The next packet identifier for what the broker sends (lib/qos-packet.js). */
  _nextId: number
  readonly receiveMaximum: number
  /** The will of this connection, which `close` publishes unless DISCONNECT came. */
  readonly will: AedesWill | null
  /** The will of CONNECT, until `storeWill` in lib/handlers/connect.js takes it over after authentication. */
  _will: AedesWill | null
  /** A DISCONNECT came that discards the will (lib/handlers/index.js). */
  readonly _disconnected: boolean
  /** What a subscription without the fan-out would deliver by; Aedes uses it for retained messages. */
  deliver0: Notify
  deliverQoS: Notify
  /** Version 5: whether acknowledgements may say why; undefined in older versions. */
  readonly _requestProblemInformation?: boolean
  /** Clean session, or clean start in version 5. */
  readonly _cleanStart: boolean
  /** Version 5: sent in CONNACK, and then Aedes starts its own keepalive timer (`setKeepAlive`). */
  _serverKeepAlive?: number
  readonly _keepaliveTimer: NodeJS.Timeout | null
  /** Above 0 the keepalive timer is started again with each packet. */
  _keepaliveInterval: number
  /** Ends the connection when CONNECT does not come. */
  _connectTimer: NodeJS.Timeout | null
  /** Reads the stream; called for each `readable` event, and when a packet has been dealt with. */
  _nextBatch: (error?: Error | null) => void
  /** Emits `packet`, which Aedes deals with at once: the first one, and those after CONNACK. */
  readonly _parser: EventEmitter
  /** How many packets are being dealt with. */
  _parsingBatch: number
  /** Goes on reading; called once CONNACK is on its way (`emptyQueue` in lib/handlers/connect.js). */
  resume: () => void
}

/** A will as Aedes keeps it. */
export interface AedesWill {
  topic: string
  payload: Buffer | string
  qos: QoS
  retain: boolean
  properties?: Partial<NonNullable<PublishPacket['properties']>> & { willDelayInterval?: number }
}

/* oxlint-disable no-underscore-dangle -- the members behind these are Aedes' own */

/** The part of Aedes that keeps wills back (aedes.js). */
export interface WillKeeper {
  /** The timers by client id. */
  readonly delayedWills: ReadonlyMap<string, unknown>
  scheduleWill: (client: AedesClient, will: AedesWill, delaySeconds: number) => void
  clearDelayedWill: (clientId: string) => void
  publishWill: (client: AedesClient, will: AedesWill) => void
}

/** Takes the packet identifier for the next message above QoS 0 to a client, as lib/qos-packet.js does. */
export function nextMessageId(client: AedesClient): number {
  const id = client._nextId
  client._nextId = id >= 65_535 ? 1 : id + 1
  return id
}

/** Goes on behind the last id of a session; a new one begins with 1, as others do, where Aedes begins anywhere. */
export function continueMessageIds(client: AedesClient, lastId: number): void {
  client._nextId = lastId
  nextMessageId(client)
}

/** A packet that a client has sent, as far as it is looked at here. */
export interface SeenPacket {
  readonly cmd: string
  readonly messageId?: number
  readonly reasonCode?: number
  readonly qos?: QoS
}

/** Shows each packet of a client, after Aedes has begun to deal with it. */
export function watchPackets(client: AedesClient, look: (packet: SeenPacket) => void): void {
  client._parser.on('packet', look)
}

/**
 * Gives the filters that a client subscribes to and unsubscribes from other names, before Aedes sees them;
 * and has Aedes take each of them, in their order. It would leave out those that come again, and sort those
 * that are numbers (`_dedupe` in lib/handlers/subscribe.js).
 */
export function interceptFilters(client: AedesClient, rename: (filter: string) => string): void {
  client._parser.prependListener('packet', (packet: SubscribingPacket) => {
    if (packet.cmd === 'subscribe') {
      const { subscriptions } = packet
      for (const subscription of subscriptions) subscription.topic = rename(subscription.topic)
      Object.defineProperty(packet, 'subscriptions', { get: () => subscriptions, set: () => {} })
    } else if (packet.cmd === 'unsubscribe') {
      packet.unsubscriptions = packet.unsubscriptions.map(rename)
    }
  })
}

type SubscribingPacket =
  | { cmd: 'subscribe'; subscriptions: { topic: string }[] }
  | { cmd: 'unsubscribe'; unsubscriptions: string[] }

/** Takes over what Aedes sends to one client alone (`deliver0`, `deliverQoS` in lib/client.js). */
export function replaceDelivery(
  client: AedesClient,
  deliver: (packet: EmittedPacket, done: () => void) => void,
): void {
  client.deliver0 = deliver
  client.deliverQoS = deliver
}

/** Lets Aedes' books take ids like `__proto__`. */
export function forgetPrototypes(aedes: Aedes): void {
  Object.assign(aedes, { clients: Object.create(null), brokers: Object.create(null) })
}

/** The client that is connected under an id. */
export function clientOf(aedes: Aedes, clientId: string): AedesClient | undefined {
  return (aedes as Aedes & { clients: Record<string, AedesClient | undefined> }).clients[clientId]
}

/** Whether a client that is being authenticated wants to forget its session. */
export function wantsCleanStart(client: AedesClient): boolean {
  return client._cleanStart
}

/** Whether Aedes has given a client its id. */
export function hasAssignedId(client: AedesClient): boolean {
  return client.id.startsWith('aedes_')
}

/** Whether a version 5 client takes reason strings with acknowledgements. */
export function wantsReasons(client: AedesClient): boolean {
  return client._requestProblemInformation !== false
}

/** Publishes a message of a client, which the types of Aedes do not know of (`publish` in aedes.js). */
export function publishFor(
  aedes: Aedes,
  client: Client,
  packet: PublishPacket,
  done: (error?: Error | null) => void,
): void {
  const publisher = aedes as unknown as {
    publish(packet: PublishPacket, client: Client, done: (error?: Error | null) => void): void
  }
  publisher.publish(packet, client, done)
}

/** Tells Aedes that a message which it has authorized is published and acknowledged already (`enqueuePublish`). */
export function doNotPublish(packet: PublishPacket): void {
  Object.assign(packet, { _notAuthorized: true })
}

/** Makes this the will of a client that is being authenticated. */
export function replaceWill(client: AedesClient, will: AedesWill): void {
  client._will = will
}

/** The will with which a client that is being authenticated came. */
export function willOfConnect(client: AedesClient): AedesWill | null {
  return client._will
}

/** Whether the client said goodbye, and its will is void. */
export function hasSaidGoodbye(client: AedesClient): boolean {
  return client._disconnected
}

/**
 * Takes the reading of a client's stream over from Aedes, before anything was read. `onReady` is called
 * when Aedes takes more packets than the first, which is CONNECT, and when it is through with CONNECT.
 */
export function takeOverReading(
  client: AedesClient,
  onReady: (error?: Error | null) => void,
): void {
  client.conn.removeListener('readable', client._nextBatch)
  if (client._connectTimer) clearTimeout(client._connectTimer)
  client._connectTimer = null
  client._parsingBatch = 0
  client._nextBatch = onReady
  client.resume = onReady
}

/** From now on, calls `onDone` for every packet that Aedes is through with. */
export function reportDone(client: AedesClient, onDone: (error?: Error | null) => void): void {
  client._nextBatch = onDone
}

/** Gives a packet to Aedes, as its parser would have. */
export function handOver(client: AedesClient, packet: object): void {
  client._parser.emit('packet', packet)
}

/** Notes why a version 5 client is sent away; nothing is delivered to it any more. */
export function noteDisconnectReason(client: AedesClient, reasonCode: number): void {
  client.disconnectReasonCode = reasonCode
}

/** Has a version 5 client told to keep alive by this interval, in seconds; before CONNACK. */
export function imposeKeepalive(client: AedesClient, seconds: number): void {
  client._serverKeepAlive = seconds
}

/** Stops the keepalive timer that Aedes started for an imposed keepalive; it knows nothing of stalls. */
export function stopKeepaliveTimer(client: AedesClient): void {
  if (client._keepaliveTimer) clearTimeout(client._keepaliveTimer)
  client._keepaliveInterval = 0
}
