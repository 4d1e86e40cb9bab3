import type { Aedes, PublishPacket, Subscription } from 'aedes'
import { createTopics, type Cause } from '../protocol/index.ts'
import type { AedesClient } from './aedes-internals.ts'
import { filterOf } from './fanout/shared-name.ts'
import { grantByClaims } from './auth/grant.ts'
import { judgeTopic, KICK_TOPIC, refuseRooms, TOKEN_TOPIC } from './auth/publish-rules.ts'
import { isBelow, mayRead, maySubscribe } from './auth/read-rules.ts'
import type { Connection } from './connection.ts'
import { credentialsOf } from './credentials.ts'
import type { HookContext } from './hook-context.ts'
import { refuseMoreRooms } from './limits/room-limits.ts'
import type { Deed } from './limits/usage.ts'
import { stampDocument } from './presence/stamp.ts'
import { takeVersion } from './retained/version.ts'
import { NOWHERE, PublicationRefusal } from './sessions/publication-refusal.ts'

/** What the hooks around it tell. */
export interface Endings {
  causeOf(connection: Connection): Cause
  /** A document was let through: the end has to wait until it is published. */
  begin(connection: Connection, packet: PublishPacket): void
  /** Runs when the end of a connection may be read: after its documents, and after its successor. */
  inOrder(connection: Connection, run: () => void): void
}

type Done = (error?: Error | null) => void

/** Version 5 reason codes. */
const NOT_AUTHORIZED = 0x87
const RATE_TOO_HIGH = 0x96
const QUOTA_EXCEEDED = 0x97
const PAYLOAD_FORMAT_INVALID = 0x99

/** A failure code in the place of a QoS: the filter is not stored. */
const NOT_GRANTED = 128 as Subscription['qos']

/** Puts what clients may do between Aedes and its clients: publish, subscribe, and be sent. */
export function connectAuthorization(aedes: Aedes, context: HookContext, endings: Endings): void {
  const { id: broker, root, limits, announcer, registry, metrics, warn } = context
  const { door, expiry, usage, store } = context
  const topics = createTopics(root)
  const subscribed = new WeakMap<AedesClient, Set<string>>()

  aedes.authorizePublish = (anyClient, packet, callback) => {
    // A will that a dead broker left behind. Refusing it would end this process (it is awaited nowhere).
    if (!anyClient) return isOneOfSeveral(packet) ? drop(packet, callback) : callback(null)
    const client = anyClient as AedesClient
    const connection = registry.get(client)
    if (!connection?.identity) return drop(packet, callback)
    if (packet === (client.will as unknown)) return authorizeWill(connection, packet, callback)
    announcer.announce(connection)
    if (packet.topic === TOKEN_TOPIC) return renew(connection, packet, callback)
    if (packet.topic === KICK_TOPIC) {
      return spend(connection, 'message', () => kick(connection, packet, callback))
    }
    const { user, client: clientId } = connection.identity
    const deed = packet.topic === topics.connection(user, clientId) ? 'document' : 'message'
    spend(connection, deed, () => authorize(connection, packet, callback))
  }

  /** Does something in time, or ends the connection of who does too much. */
  function spend(connection: Connection, deed: Deed, run: () => void): void {
    if (usage.spend(connection, deed, run) || connection.cause !== undefined) return
    metrics.floods++
    connection.cause = 'error'
    const { user, client } = connection.identity ?? {}
    warn(
      { user, client, deed },
      'connection ended: it does more than the limits allow for too long',
    )
    usage.forget(connection)
    context.disconnect(connection.client, RATE_TOO_HIGH, `too many ${deed}s`)
  }

  function authorizeWill(connection: Connection, packet: PublishPacket, callback: Done): void {
    const { identity } = connection
    // It belongs to the will, not to the message; strict readers leave when they are sent it.
    if (packet.properties) Reflect.deleteProperty(packet.properties, 'willDelayInterval')
    if (identity?.isBridge && isOneOfSeveral(packet, connection)) return drop(packet, callback)
    const own = identity && topics.connection(identity.user, identity.client)
    if (packet.topic !== own) {
      // The client's own will goes its way; the broker speaks for presence beside it.
      authorize(connection, packet, callback)
      return
    }
    if (connection.state !== 'announced') return drop(packet, callback)
    const cause = endings.causeOf(connection)
    packet.retain = false
    connection.state = 'ended'
    endings.inOrder(connection, () => {
      packet.payload = announcer.formatEnd(connection, cause)
      callback(null)
    })
  }

  /** Whether it is the will of a bridge that says that presence is not fresh, while other bridges see to it. */
  function isOneOfSeveral({ topic }: PublishPacket, dead?: Connection): boolean {
    if (topic !== topics.bridgeStatus) return false
    if (context.hasLink()) return true
    for (const other of registry.all()) {
      const isBridge = other.identity?.isBridge && other.client.will?.topic === topic
      if (isBridge && other !== dead && !other.client.closed) return true
    }
    return false
  }

  function authorize(connection: Connection, packet: PublishPacket, callback: Done): void {
    const { identity, grant } = connection
    if (!identity || !grant) return drop(packet, callback)
    const permission = judgeTopic(root, packet.topic, identity, grant)
    if (permission === 'own-document') return authorizeDocument(connection, packet, callback)
    if (permission !== 'allowed') return refuse(connection, packet, permission.refused, callback)
    if (isOneTooMany(packet) && !identity.isBridge) {
      metrics.refusedRetained++
      return refuse(
        connection,
        packet,
        `${limits.maxRetained} messages are retained already`,
        callback,
        QUOTA_EXCEEDED,
      )
    }
    if (identity.isBridge && isBelow(root, packet.topic)) takeVersion(packet)
    // Its sender is told that it was published: whoever reads has had something newer.
    if (!store.admits(packet)) return drop(packet, callback)
    callback(null)
  }

  function isOneTooMany({ topic, payload, retain }: PublishPacket): boolean {
    if (!retain || payload.length === 0 || isBelow(root, topic)) return false
    return store.retainedOutside >= limits.maxRetained && store.retainedPayload(topic) === undefined
  }

  function authorizeDocument(connection: Connection, packet: PublishPacket, callback: Done): void {
    const { identity, grant } = connection
    if (!identity || !grant) return drop(packet, callback)
    let refusal: string | undefined
    let reasonCode: number | undefined
    const { payload } = packet
    const stamped = stampDocument(
      connection,
      payload,
      broker,
      context.documentLimits,
      (document) => {
        refusal = refuseRooms(document, grant)
        if (refusal !== undefined) return refusal
        refusal = refuseMoreRooms(connection, document, limits, topics, store)
        if (refusal === undefined) return undefined
        metrics.refusedRooms++
        reasonCode = QUOTA_EXCEEDED
        return refusal
      },
    )
    if (refusal !== undefined) return refuse(connection, packet, refusal, callback, reasonCode)
    if (!stamped.ok) {
      metrics.invalidDocuments++
      const { user, client } = identity
      warn({ user, client, error: stamped.error }, 'connection document dropped')
      return sayNo(connection, packet, stamped.error, callback, PAYLOAD_FORMAT_INVALID)
    }
    registry.noteUnloadKey(connection)
    usage.chargeRooms(connection, connection.document.rooms?.size ?? 0)
    if (!identity.present) return drop(packet, callback)
    packet.payload = stamped.value
    packet.retain = false
    endings.begin(connection, packet)
    callback(null)
  }

  function refuse(
    connection: Connection,
    packet: PublishPacket,
    error: string,
    callback: Done,
    reasonCode: number = NOT_AUTHORIZED,
  ): void {
    metrics.refusedPublications++
    const { user, client } = connection.identity ?? {}
    warn({ user, client, topic: packet.topic, error }, 'publication refused')
    sayNo(connection, packet, error, callback, reasonCode)
  }

  /** Version 5 has a word for it; in 3.1.1 an error here would cost the client its connection. */
  function sayNo(
    { client }: Connection,
    packet: PublishPacket,
    error: string,
    callback: Done,
    reasonCode: number,
  ): void {
    if (client.version === 5) return callback(new PublicationRefusal(error, reasonCode))
    drop(packet, callback)
  }

  /** Lets a publication through to nobody, so that its sender gets the acknowledgement that it waits for. */
  function drop(packet: PublishPacket, callback: Done): void {
    packet.topic = NOWHERE
    packet.payload = ''
    packet.retain = false
    callback(null)
  }

  function kick(connection: Connection, packet: PublishPacket, callback: Done): void {
    if (!connection.grant?.isAdmin) {
      return refuse(connection, packet, 'only an admin ends connections', callback)
    }
    context.kick(packet.payload.toString())
    drop(packet, callback)
  }

  /** A client hands in a new token before the old one expires. */
  function renew(connection: Connection, packet: PublishPacket, callback: Done): void {
    const { client, info, identity, grant } = connection
    if (!identity || !grant) return drop(packet, callback)
    const password = packet.payload.toString()
    const said = { clientId: client.id, username: identity.user, password }
    door.judge(credentialsOf(said, info), (verdict) => {
      const claims = verdict.kind === 'known' ? verdict.claims : undefined
      const isSame = claims?.user === identity.user && (claims.admin ?? false) === grant.isAdmin
      if (!claims || !isSame) {
        const why = verdict.kind === 'refused' ? verdict.refusal.reason : 'it is not of this user'
        return refuse(connection, packet, `the new token does not count: ${why}`, callback)
      }
      connection.grant = grantByClaims(claims, identity.client, context)
      if (!client.closed) expiry.set(connection, claims.expiresAt)
      leaveRooms(connection)
      drop(packet, callback)
    })
  }

  /** Rooms that a new token does not name any more are left. */
  function leaveRooms(connection: Connection): void {
    const { document, grant } = connection
    if (!document.rooms || !grant || refuseRooms(document, grant) === undefined) return
    const rooms = new Map([...document.rooms].filter(([room]) => grant.mayJoin(room)))
    connection.document = { ...document, rooms }
    announcer.repeat(connection)
  }

  aedes.authorizeSubscribe = (anyClient, sub, callback) => {
    const client = anyClient as AedesClient
    const connection = registry.get(client)
    if (!connection?.grant) return deny(client, sub, 'the connection is gone', callback)
    if (!client.connackSent) {
      // What is restored from a session was paid for when it was asked for. Not in this turn: Aedes says in
      // CONNACK that there is a session only if the restoring takes a while (restoreSubs in connect.js).
      queueMicrotask(() => authorizeFilter(connection, sub, callback))
      return
    }
    spend(connection, 'subscription', () => authorizeFilter(connection, sub, callback))
  }

  function authorizeFilter(
    { client, grant, identity }: Connection,
    sub: Subscription,
    callback: (error: Error | null, sub?: Subscription | null) => void,
  ): void {
    const { topic } = sub
    if (!grant || !maySubscribe(root, filterOf(topic), grant)) {
      return deny(client, sub, 'it is not for this client', callback)
    }
    const filters = subscribed.get(client) ?? new Set()
    if (!filters.has(topic) && filters.size >= limits.maxSubscriptions && !identity?.isBridge) {
      metrics.refusedExcessSubscriptions++
      return deny(client, sub, `it has ${limits.maxSubscriptions} filters already`, callback)
    }
    subscribed.set(client, filters.add(topic))
    callback(null, sub)
  }

  /**
   * Refuses a filter. Aedes stores all filters of a SUBSCRIBE when it grants one of them, and a session
   * would have them when it is resumed.
   */
  function deny(
    client: AedesClient,
    sub: Subscription,
    error: string,
    callback: (error: Error | null, sub?: Subscription | null) => void,
  ): void {
    metrics.refusedSubscriptions++
    const { user } = registry.get(client)?.identity ?? {}
    warn({ user, client: client.id, filter: filterOf(sub.topic), error }, 'subscription refused')
    sub.qos = NOT_GRANTED
    // The store is in memory: this is done when it returns.
    void store.removeSubscriptions(client, [sub.topic])
    callback(null, null)
  }

  aedes.on('unsubscribe', (filters, client) => {
    for (const filter of filters) subscribed.get(client as AedesClient)?.delete(filter)
  })

  aedes.authorizeForward = (anyClient, packet) => {
    const grant = registry.get(anyClient as AedesClient)?.grant
    return grant && mayRead(root, packet.topic, grant) ? packet : null
  }
}
