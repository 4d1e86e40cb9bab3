import type { Aedes, Client, ConnectPacket } from 'aedes'
import { imposeKeepalive, stopKeepaliveTimer, type AedesClient } from './aedes-internals.ts'
import type { Verdict } from './auth/door.ts'
import { connectAuthorization } from './authorization.ts'
import { createConnectionIds } from './connection-id.ts'
import { openConnection, type Connection } from './connection.ts'
import { credentialsOf } from './credentials.ts'
import { causeOfEnd, causeOfError } from './ends.ts'
import { createEntrance } from './entrance.ts'
import { isSharedName } from './fanout/shared-name.ts'
import type { HookContext } from './hook-context.ts'
import { createDocumentOrder } from './presence/document-order.ts'
import { createConnectQueue } from './sessions/connect-queue.ts'
import { watchDelayedWills } from './sessions/delayed-wills.ts'
import { boundOpenMessages } from './sessions/open-messages.ts'
import { createPace } from './sessions/pace.ts'
import { publishInOrder } from './sessions/publish-in-order.ts'
import { createSuccession, type Succession } from './sessions/succession.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'

/** A keepalive longer than this is none as far as presence is concerned, in seconds. */
const LONG_KEEPALIVE = 60

/** Version 5 reason code: receive maximum exceeded. */
const RECEIVE_MAXIMUM_EXCEEDED = 0x93

/** How long Aedes has to report the end of a closed socket before the broker goes ahead, in milliseconds. */
const REPORT_WITHIN_MS = 1000

/** What the other brokers ask of this one's clients. */
interface Hooks extends Pick<Succession, 'expect'> {
  /** Runs when nobody is connecting with a client id. */
  inLine(clientId: string, run: () => void): void
  /** The will that waits for an absent client is due, or void, since its session goes on elsewhere. */
  resolveWill(clientId: string, isDue: boolean): void
  /** All wills that wait are another broker's to publish. */
  forgetWills(): void
}

/** Puts presence between Aedes and its clients, from CONNECT to the end. */
export function connectHooks(aedes: Aedes, context: HookContext): Hooks {
  const { clock, announcer, registry, liveness, metrics, warn, others } = context
  const queue = createConnectQueue()
  const nextId = createConnectionIds(() => clock.now())
  const succession = createSuccession(clock, (clientId) => queue.isBusy(clientId))
  const verdicts = new WeakMap<AedesClient, Verdict>()
  const order = createDocumentOrder(clock)
  const pace = createPace()
  /**
   * Who wanted no keepalive, and was told one: held to it from the first PINGREQ on. There are clients that do not
   * heed it then, and would be cut for nothing.
   */
  const asked = new WeakMap<AedesClient, number>()
  const wills = watchDelayedWills(aedes, {
    delayed(client, delayMs) {
      const connection = registry.get(client)
      if (connection) others?.wills.delay(client.id, connection.id, delayMs)
    },
    settled: (clientId) => others?.wills.settle(clientId),
  })
  const entrance = createEntrance(aedes, context, wills)

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
    const isImposed = protocolVersion === 5 && isLong
    if (isImposed) imposeKeepalive(client, imposed)
    connection.keepaliveMs = 1000 * (isImposed && keepalive > 0 ? imposed : keepalive)
    if (isImposed && keepalive === 0) asked.set(client, 1000 * imposed)
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
    entrance.admit(client, verdicts.get(client), username, callback)
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
  aedes.on('ping', (_packet, anyClient) => {
    const client = anyClient as AedesClient
    const connection = registry.get(client)
    const askedMs = asked.get(client)
    if (connection && askedMs !== undefined) connection.keepaliveMs = askedMs
  })
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
    entrance.release(connection)
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
    forgetWills: () => wills.forgetAll(),
  }

  /** Runs when the end of a connection may be read: after its documents, and after its successor. */
  function inOrder(connection: Connection, run: () => void): void {
    pace(() => {
      order.afterDocuments(connection, () => succession.after(connection.client.id, run))
    })
  }
}
