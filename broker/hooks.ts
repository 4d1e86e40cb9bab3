import type { Aedes, AuthenticateError, Client, ConnectPacket, PublishPacket } from 'aedes'
import { createTopics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import {
  imposeKeepalive,
  replaceWill,
  stopKeepaliveTimer,
  willOfConnect,
  type AedesClient,
} from './aedes-internals.ts'
import { createConnectionIds } from './connection-id.ts'
import { openConnection, type Connection } from './connection.ts'
import { causeOfEnd, causeOfError } from './ends.ts'
import { identify } from './identity.ts'
import type { Liveness } from './liveness/liveness.ts'
import type { Metrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import type { Announcer } from './presence/announcer.ts'
import { judgePublication } from './presence/permissions.ts'
import { stampDocument } from './presence/stamp.ts'
import type { Registry } from './registry.ts'
import { createConnectQueue } from './sessions/connect-queue.ts'

/** What the hooks work with. */
export interface HookContext extends ResolvedOptions {
  readonly clock: Clock
  readonly announcer: Announcer
  readonly registry: Registry
  readonly liveness: Liveness
  readonly metrics: Metrics
  /** Makes a new client's subscriptions the fan-out's. */
  readonly adopt: (client: Client) => void
  readonly warn: (fields: object, message: string) => void
  /** Whether the broker ends connections by itself. */
  readonly isClosing: () => boolean
}

type Done = (error?: Error | null) => void

/** A keepalive longer than this is none as far as presence is concerned, in seconds. */
const LONG_KEEPALIVE = 60

/** CONNACK return codes of MQTT 3.1.1. */
const IDENTIFIER_REJECTED = 2

/** Where publications go that must not reach anybody: no filter matches it without naming `$`. */
const NOWHERE = '$presence/nowhere'

/** How long Aedes has to report the end of a closed socket before the broker goes ahead, in milliseconds. */
const REPORT_WITHIN_MS = 1000

/** Puts presence between Aedes and its clients, from CONNECT to the end. */
export function connectHooks(aedes: Aedes, context: HookContext): void {
  const { id: broker, root, clock, announcer, registry, liveness, metrics, warn } = context
  const topics = createTopics(root)
  const queue = createConnectQueue()
  const nextId = createConnectionIds(() => clock.now())
  /** What waits for the connection that takes over a client id to be announced, by client id. */
  const successions = new Map<string, (() => void)[]>()

  aedes.preConnect = (anyClient, packet, callback) => {
    const client = anyClient as AedesClient
    const info = registry.infoOf(client)
    // The socket has gone before its CONNECT was read.
    if (!info) return callback(null, false)
    const { clientId } = packet
    const enter = (leave: () => void): void => {
      if (client.conn.destroyed) {
        leave()
        return callback(null, false)
      }
      client.conn.once('close', () => setImmediate(leave))
      client.once('connected', leave)
      connect(client, packet, openConnection(nextId(), client, info, clock.now()))
      callback(null, true)
    }
    if (clientId === '') enter(() => {})
    else queue.enter(clientId, enter)
  }

  function connect(client: AedesClient, packet: ConnectPacket, connection: Connection): void {
    context.adopt(client)
    // The sweep keeps the time: it knows when this process was not running.
    const { keepalive = 0, protocolVersion } = packet
    packet.keepalive = 0
    const imposed = Math.max(1, Math.floor(context.livenessTimeoutMs / 1500))
    const isLong = keepalive === 0 || keepalive > LONG_KEEPALIVE
    if (protocolVersion === 5 && isLong) imposeKeepalive(client, imposed)
    connection.keepaliveMs = 1000 * (protocolVersion === 5 && isLong ? imposed : keepalive)
    registry.add(connection)
    liveness.watch(connection)
    client.conn.once('close', () => {
      clock.after(REPORT_WITHIN_MS, () => endOf(connection))
    })
  }

  aedes.authenticate = (anyClient, username, _password, callback) => {
    const client = anyClient as AedesClient
    const connection = registry.get(client)
    const isAssigned = client.id.startsWith('aedes_')
    const identity = identify({ clientId: client.id, isAssigned, username }, context.bridgeUser)
    if (!connection || !identity.ok) {
      const message = identity.ok ? 'the connection is gone' : identity.error
      const error: AuthenticateError = Object.assign(new Error(message), {
        returnCode: IDENTIFIER_REJECTED,
      })
      return callback(error, false)
    }
    connection.identity = identity.value
    const will = willOfConnect(client)
    if (!will && identity.value.present) {
      // Who brings no will gets one; its payload is written when it is known how the connection ended.
      const topic = topics.connection(identity.value.user, identity.value.client)
      replaceWill(client, { topic, payload: Buffer.from('offline'), qos: 1, retain: false })
    }
    callback(null, true)
  }

  aedes.on('client', (client: Client) => {
    metrics.connects++
    const connection = registry.get(client as AedesClient)
    if (!connection) return
    announcer.announce(connection)
    succeed(client.id)
  })
  aedes.on('clientReady', (client: Client) => stopKeepaliveTimer(client as AedesClient))
  aedes.on('clientError', noteError)
  aedes.on('connectionError', noteError)
  aedes.on('clientDisconnect', (client: Client) => {
    const connection = registry.get(client as AedesClient)
    if (connection) afterSuccession(connection, () => endOf(connection))
  })

  function noteError(client: Client, error: Error): void {
    const connection = registry.get(client as AedesClient)
    const cause = causeOfError(error)
    if (connection && cause) connection.cause ??= cause
    if (cause === 'error') {
      const { user } = connection?.identity ?? {}
      warn({ client: client.id, user, error: error.message }, 'connection ended by an error')
    }
  }

  /** Publishes the end of a connection unless its will has done so. */
  function endOf(connection: Connection): void {
    if (connection.state !== 'ended') {
      announcer.end(connection, causeOfEnd(connection, isOurFault()))
    }
    registry.remove(connection)
  }

  function isOurFault(): boolean {
    return context.isClosing() || liveness.wasStalled()
  }

  aedes.authorizePublish = (anyClient, packet, callback) => {
    // A will that a dead broker left behind. Refusing it would end this process (it is awaited nowhere).
    if (!anyClient) return callback(null)
    const client = anyClient as AedesClient
    const connection = registry.get(client)
    if (!connection?.identity) return drop(packet, callback)
    if (packet === (client.will as unknown)) return authorizeWill(connection, packet, callback)
    announcer.announce(connection)
    authorize(connection, packet, callback)
  }

  function authorizeWill(connection: Connection, packet: PublishPacket, callback: Done): void {
    const { identity } = connection
    // It belongs to the will, not to the message; strict readers leave when they are sent it.
    if (packet.properties) Reflect.deleteProperty(packet.properties, 'willDelayInterval')
    const own = identity && topics.connection(identity.user, identity.client)
    if (packet.topic !== own) {
      // The client's own will goes its way; the broker speaks for presence beside it.
      authorize(connection, packet, callback)
      return
    }
    if (connection.state !== 'announced') return drop(packet, callback)
    packet.payload = announcer.formatEnd(connection, causeOfEnd(connection, isOurFault()))
    packet.retain = false
    connection.state = 'ended'
    afterSuccession(connection, () => callback(null))
  }

  function authorize(connection: Connection, packet: PublishPacket, callback: Done): void {
    const { identity, client } = connection
    if (!identity) return drop(packet, callback)
    const permission = judgePublication(root, packet.topic, identity)
    if (permission === 'allowed') return callback(null)
    const { user, client: clientId } = identity
    if (permission !== 'own-document') {
      metrics.refusedPublications++
      const { refused: error } = permission
      warn({ user, client: clientId, topic: packet.topic, error }, 'publication refused')
      // Version 5 has a word for it; in 3.1.1 an error here would cost the client its connection.
      if (client.version === 5) return callback(new Error(error))
      return drop(packet, callback)
    }
    const stamped = stampDocument(connection, packet.payload, broker, context.documentLimits)
    if (!stamped.ok) {
      metrics.invalidDocuments++
      warn({ user, client: clientId, error: stamped.error }, 'connection document dropped')
      return drop(packet, callback)
    }
    if (!identity.present) return drop(packet, callback)
    packet.payload = stamped.value
    packet.retain = false
    callback(null)
  }

  /** Lets a publication through to nobody, so that its sender gets the acknowledgement that it waits for. */
  function drop(packet: PublishPacket, callback: Done): void {
    packet.topic = NOWHERE
    packet.payload = ''
    packet.retain = false
    callback(null)
  }

  /**
   * Runs when the connection that takes over this client id has been announced, or has failed: the end of
   * the old one is then stale, and a takeover is silent whatever the grace.
   */
  function afterSuccession({ client }: Connection, run: () => void): void {
    if (!queue.isBusy(client.id)) return run()
    const waiting = successions.get(client.id)
    if (waiting) waiting.push(run)
    else successions.set(client.id, [run])
    clock.after(REPORT_WITHIN_MS, () => succeed(client.id))
  }

  function succeed(clientId: string): void {
    const waiting = successions.get(clientId)
    successions.delete(clientId)
    for (const run of waiting ?? []) run()
  }
}
