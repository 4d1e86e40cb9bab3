import type { Aedes, AedesPublishPacket, Client } from 'aedes'
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
  readonly broker: AedesBroker
  /** The will of this connection, which `close` publishes unless DISCONNECT came. */
  readonly will: AedesWill | null
  /** The will of CONNECT, until `storeWill` in lib/handlers/connect.js takes it over after authentication. */
  _will: AedesWill | null
  /** A DISCONNECT came that discards the will (lib/handlers/index.js). */
  readonly _disconnected: boolean
  /** Version 5: sent in CONNACK, and then Aedes starts its own keepalive timer (`setKeepAlive`). */
  _serverKeepAlive?: number
  readonly _keepaliveTimer: NodeJS.Timeout | null
  /** Above 0 the keepalive timer is started again with each packet. */
  _keepaliveInterval: number
}

/** A will as Aedes keeps it. */
export interface AedesWill {
  topic: string
  payload: Buffer | string
  qos: QoS
  retain: boolean
}

/** The broker as a client sees it. */
export interface AedesBroker extends Aedes {
  readonly persistence: OutgoingStore
}

/**
 * The part of a store that sends messages of a persistent session. Aedes stores a message for every
 * persistent session with a matching subscription above QoS 0 before it emits it (`enqueueOffline` in
 * aedes.js); the copy is found by `brokerId` and `brokerCounter` until it has a packet identifier.
 */
export interface OutgoingStore {
  /** Notes the packet identifier under which a stored message is sent; rejects when there is none. */
  outgoingUpdate(client: AedesClient, packet: AedesPublishPacket): Promise<unknown>
  /** Drops the message with this packet identifier. */
  outgoingClearMessageId(client: AedesClient, packet: AedesPublishPacket): Promise<unknown>
}

/** Takes the packet identifier for the next message above QoS 0 to a client, as lib/qos-packet.js does. */
export function takeMessageId(client: AedesClient): number {
  // oxlint-disable no-underscore-dangle -- Aedes' own counter, which its own messages use too.
  const id = client._nextId
  client._nextId = id >= 65_535 ? 1 : id + 1
  return id
}

/* oxlint-disable no-underscore-dangle -- the members behind these are Aedes' own */

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

/** Has a version 5 client told to keep alive by this interval, in seconds; before CONNACK. */
export function imposeKeepalive(client: AedesClient, seconds: number): void {
  client._serverKeepAlive = seconds
}

/** Stops the keepalive timer that Aedes started for an imposed keepalive; it knows nothing of stalls. */
export function stopKeepaliveTimer(client: AedesClient): void {
  if (client._keepaliveTimer) clearTimeout(client._keepaliveTimer)
  client._keepaliveInterval = 0
}
