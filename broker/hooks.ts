import type { Aedes, AuthenticateError, Client, ConnectPacket } from 'aedes'
import { createTopics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import {
  imposeKeepalive,
  replaceWill,
  stopKeepaliveTimer,
  wantsCleanStart,
  willOfConnect,
  type AedesClient,
} from './aedes-internals.ts'
import { admit } from './auth/admission.ts'
import {
  IDENTIFIER_REJECTED,
  UNAVAILABLE,
  type ConnectRefusal,
  type Door,
  type Verdict,
} from './auth/door.ts'
import type { Expiry } from './auth/expiry.ts'
import { connectAuthorization } from './authorization.ts'
import { createConnectionIds } from './connection-id.ts'
import { openConnection, type Connection } from './connection.ts'
import { credentialsOf } from './credentials.ts'
import { causeOfEnd, causeOfError } from './ends.ts'
import { createTally } from './limits/tally.ts'
import type { Cluster } from './cluster/cluster.ts'
import { isSharedName } from './fanout/shared-name.ts'
import type { Sessions } from './limits/sessions.ts'
import type { Usage } from './limits/usage.ts'
import type { Liveness } from './liveness/liveness.ts'
import type { Metrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import type { Announcer } from './presence/announcer.ts'
import type { MemoryPersistence } from './persistence/memory-persistence.ts'
import { createDocumentOrder } from './presence/document-order.ts'
import type { Registry } from './registry.ts'
import { rewriteConnack } from './sessions/connack.ts'
import { createConnectQueue } from './sessions/connect-queue.ts'
import { watchDelayedWills } from './sessions/delayed-wills.ts'
import { boundOpenMessages } from './sessions/open-messages.ts'
import { createPace } from './sessions/pace.ts'
import { publishInOrder } from './sessions/publish-in-order.ts'
import { createSuccession, type Succession } from './sessions/succession.ts'
import { endPredecessor } from './sessions/takeover.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'

/** What the hooks work with. */
export interface HookContext extends ResolvedOptions {
  readonly clock: Clock
  readonly announcer: Announcer
  readonly registry: Registry
  readonly liveness: Liveness
  readonly metrics: Metrics
  readonly door: Door
  readonly expiry: Expiry
  readonly sessions: Sessions
  readonly usage: Usage
  readonly store: MemoryPersistence
  /** The other brokers, where there are some. */
  readonly others: Cluster | undefined
  readonly onError: (error: unknown) => void
  /** How many QoS 2 messages a version 5 client may have open. */
  readonly receiveMaximum: number
  /** Makes a new client's subscriptions the fan-out's. */
  readonly adopt: (client: Client) => void
  readonly warn: (fields: object, message: string) => void
  /** Ends a connection; a version 5 client is told why. */
  readonly disconnect: (client: Client, reasonCode: number, reason: string) => void
  /** Whether the broker ends connections by itself. */
  readonly isClosing: () => boolean
}

/** A keepalive longer than this is none as far as presence is concerned, in seconds. */
const LONG_KEEPALIVE = 60

/** Version 5 reason code: receive maximum exceeded. */
const RECEIVE_MAXIMUM_EXCEEDED = 0x93

/** How long Aedes has to report the end of a closed socket before the broker goes ahead, in milliseconds. */
const REPORT_WITHIN_MS = 1000

const ANOTHERS_CLIENT_ID: ConnectRefusal = {
  returnCode: IDENTIFIER_REJECTED,
  reason: 'its client id is another user’s',
}

/** What the other brokers ask of this one's clients. */
interface Hooks extends Pick<Succession, 'expect'> {
  /** Runs when nobody is connecting with a client id. */
  inLine(clientId: string, run: () => void): void
  /** The will that waits for an absent client is due, or void, since its session goes on elsewhere. */
  resolveWill(clientId: string, isDue: boolean): void
}

/** Puts presence between Aedes and its clients, from CONNECT to the end. */
export function connectHooks(aedes: Aedes, context: HookContext): Hooks {
  const { root, clock, announcer, registry, liveness, metrics, warn, others } = context
  const topics = createTopics(root)
  const queue = createConnectQueue()
  const nextId = createConnectionIds(() => clock.now())
  const succession = createSuccession(clock, (clientId) => queue.isBusy(clientId))
  const verdicts = new WeakMap<AedesClient, Verdict>()
  const inside = createTally<Connection>()
  const order = createDocumentOrder(clock)
  const pace = createPace()
  const wills = watchDelayedWills(aedes)

  connectAuthorization(aedes, context, {
    causeOf: (connection) => causeOfEnd(connection, isOurFault()),
    begin: (connection, packet) => order.begin(connection, packet),
    inOrder,
  })

  publishInOrder(aedes)

  aedes.preConnect = (anyClient, packet, callback) => {
    const client = anyClient as AedesClient
    const info = registry.infoOf(client)
    // The socket has gone before its CONNECT was read.
    if (!info) return callback(null, false)
    // Who it is comes first: a stranger must not keep others of the same client id waiting.
    context.door.judge(credentialsOf(packet, info), (verdict) => {
      verdicts.set(client, verdict)
      // Aedes goes on, so that the refusal is answered in the client's version.
      if (verdict.kind === 'refused') callback(null, !client.conn.destroyed)
      else line(client, packet, info, callback)
    })
  }

  function line(
    client: AedesClient,
    packet: ConnectPacket,
    info: ConnectionInfo,
    callback: (error: Error | null, isWelcome: boolean) => void,
  ): void {
    const { clientId } = packet
    const enter = (leaveQueue: () => void): void => {
      // With nobody behind it there is no successor to wait for, its own end included: a client may be
      // gone before Aedes has done with its CONNECT.
      let isIn = true
      const leave = (): void => {
        if (!isIn) return
        isIn = false
        leaveQueue()
        if (!queue.isBusy(clientId)) succession.settle(clientId)
      }
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
    boundOpenMessages(client, context.store, context.receiveMaximum, () => {
      context.disconnect(client, RECEIVE_MAXIMUM_EXCEEDED, 'too many messages are not released')
    })
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
      // Aedes reports no end of those that it has not let in.
      const isIn = connection.state !== 'connecting'
      if (isIn) clock.after(REPORT_WITHIN_MS, () => endOf(connection))
      else setImmediate(() => endOf(connection))
    })
  }

  aedes.authenticate = (anyClient, username, _password, callback) => {
    const client = anyClient as AedesClient
    const connection = registry.get(client)
    const verdict = verdicts.get(client)
    if (verdict?.kind === 'refused') return refuse(verdict.refusal)
    // What it would take now nobody would give back.
    const isGone = !connection || !verdict || connection.state === 'ended'
    if (isGone) return refuse({ returnCode: UNAVAILABLE, reason: 'it has gone' })
    const isAssigned = client.id.startsWith('aedes_')
    const admission = admit(verdict, { clientId: client.id, isAssigned, username }, context)
    if (!admission.ok) return refuse({ returnCode: IDENTIFIER_REJECTED, reason: admission.error })
    const { identity, grant, owner, expiresAt } = admission.value
    const { user, isBridge } = identity
    const { maxConnectionsPerUser } = context.limits
    // A takeover makes one out of two.
    const isMore = !context.sessions.isLive(client.id)
    if (isMore && !isBridge && inside.count(user) >= maxConnectionsPerUser) {
      metrics.refusedUserConnections++
      return refuse({ returnCode: UNAVAILABLE, reason: 'its user has too many connections' })
    }
    // Only where it is known whose name it is.
    if (owner !== undefined && !isBridge && !context.usage.mayConnect(owner)) {
      metrics.refusedFastConnects++
      return refuse({ returnCode: UNAVAILABLE, reason: 'its user connects too often' })
    }
    if (isAssigned) enter()
    else claimEverywhere(connection, owner ?? '', enter, () => refuse(ANOTHERS_CLIENT_ID))

    function enter(): void {
      if (!connection) return
      if (!context.sessions.claim(client.id, owner)) return refuse(ANOTHERS_CLIENT_ID)
      inside.add(connection, user)
      connection.identity = identity
      connection.grant = grant
      context.expiry.set(connection, expiresAt)
      const will = willOfConnect(client)
      if (!will && identity.present) {
        // Who brings no will gets one; its payload is written when it is known how the connection ended.
        const topic = topics.connection(user, identity.client)
        replaceWill(client, { topic, payload: Buffer.from('offline'), qos: 1, retain: false })
      }
      endPredecessor(aedes, client.id, () => {
        welcome(client)
        callback(null, true)
      })
    }

    function refuse({ returnCode, reason }: ConnectRefusal): void {
      metrics.refusedConnects++
      rewriteConnack(client)
      const error: AuthenticateError = Object.assign(new Error(reason), { returnCode })
      callback(error, false)
    }
  }

  /** Claims a client id among all brokers. */
  function claimEverywhere(
    connection: Connection,
    owner: string,
    then: () => void,
    refused: () => void,
  ): void {
    if (!others) return then()
    const { id, client } = connection
    others
      .claim(client.id, id, owner, wantsCleanStart(client))
      .then((claim) => {
        connection.claim = claim
        if (client.closed) return releaseEverywhere(client.id, id, 0)
        if (claim === undefined) return refused()
        return then()
      })
      .catch(context.onError)
  }

  function releaseEverywhere(clientId: string, connection: string, keptMs: number): void {
    others?.clients.release(clientId, connection, keptMs).catch((error: unknown) => {
      warn({ error: String(error) }, 'other brokers could not be told about a client id')
    })
  }

  /** Nobody else has its client id any more, and its CONNACK is next. */
  function welcome(client: AedesClient): void {
    const { store } = context
    registry.infoOf(client)?.welcome?.()
    const isClean = wantsCleanStart(client)
    // The session of the old connection ends here.
    if (isClean) wills.publish(client.id)
    const isResumed = !isClean && store.hasSession(client.id)
    rewriteConnack(client, (connack) => {
      // [MQTT-3.2.2-2] (5: -3): Aedes knows of sessions with subscriptions only.
      connack.sessionPresent = isResumed
      // There are: the fan-out has them.
      delete connack.properties?.sharedSubscriptionAvailable
    })
  }

  aedes.on('client', (client: Client) => {
    metrics.connects++
    if (!client.clean) context.store.keepSession(client.id)
    const connection = registry.get(client as AedesClient)
    if (!connection) return
    announcer.announce(connection)
    others?.keepWill(connection)
    succession.settle(client.id)
  })
  aedes.on('clientReady', (client: Client) => stopKeepaliveTimer(client as AedesClient))
  aedes.on('clientError', noteError)
  aedes.on('connectionError', noteError)
  aedes.on('clientDisconnect', (client: Client) => {
    const connection = registry.get(client as AedesClient)
    others?.sharesChanged()
    if (connection) inOrder(connection, () => endOf(connection))
  })
  aedes.on('subscribe', (subscriptions) => {
    context.store.noteGrants(subscriptions)
    if (subscriptions.some(({ topic }) => isSharedName(topic))) others?.sharesChanged()
  })
  aedes.on('unsubscribe', (filters) => {
    if (filters.some(isSharedName)) others?.sharesChanged()
  })
  aedes.on('publish', (packet) => order.published(packet))

  function noteError(client: Client, error: Error): void {
    const connection = registry.get(client as AedesClient)
    const cause = causeOfError(error)
    if (connection && cause) connection.cause ??= cause
    if (cause === 'error') {
      const { user } = connection?.identity ?? {}
      const address = registry.infoOf(client as AedesClient)?.remoteAddress
      const what = 'returnCode' in error ? 'connection refused' : 'connection ended by an error'
      warn({ client: client.id, user, address, error: error.message }, what)
    }
  }

  /** Publishes the end of a connection unless its will has done so. */
  function endOf(connection: Connection): void {
    if (connection.state !== 'ended') {
      announcer.end(connection, causeOfEnd(connection, isOurFault()))
    }
    registry.remove(connection)
    release(connection)
  }

  function release(connection: Connection): void {
    const { client, identity } = connection
    if (!inside.remove(connection) || !identity) return
    context.expiry.forget(connection)
    context.usage.forget(connection)
    const { version, sessionExpiryInterval } = client
    const expiresInMs = version === 5 ? 1000 * sessionExpiryInterval : Infinity
    context.sessions.release(client.id, identity.user, !client.clean, expiresInMs)
    const keptMs = client.clean ? 0 : Math.min(expiresInMs, context.limits.sessionExpiryMs)
    releaseEverywhere(client.id, connection.id, keptMs)
    others?.wills.delete(client.id, connection.id)
  }

  function isOurFault(): boolean {
    return context.isClosing() || liveness.wasStalled()
  }

  return {
    expect: (clientId) => succession.expect(clientId),
    inLine(clientId, run) {
      queue.enter(clientId, (leave) => {
        run()
        leave()
      })
    },
    resolveWill(clientId, isDue) {
      if (isDue) wills.publish(clientId)
      else wills.forget(clientId)
    },
  }

  /** Runs when the end of a connection may be read: after its documents, and after its successor. */
  function inOrder(connection: Connection, run: () => void): void {
    pace(() => {
      order.afterDocuments(connection, () => succession.after(connection.client.id, run))
    })
  }
}
