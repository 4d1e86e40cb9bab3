import type { Aedes, AuthenticateError } from 'aedes'
import { createTopics } from '../protocol/index.ts'
import {
  hasAssignedId,
  replaceWill,
  wantsCleanStart,
  willOfConnect,
  type AedesClient,
} from './aedes-internals.ts'
import { admit } from './auth/admission.ts'
import { IDENTIFIER_REJECTED, UNAVAILABLE, type ConnectRefusal, type Verdict } from './auth/door.ts'
import type { Connection } from './connection.ts'
import type { HookContext } from './hook-context.ts'
import { createTally } from './limits/tally.ts'
import { rewriteConnack } from './sessions/connack.ts'
import type { DelayedWills } from './sessions/delayed-wills.ts'
import { createOwnership } from './sessions/ownership.ts'
import { endPredecessor } from './sessions/takeover.ts'

/** Lets clients in, whose verdict has been given, or refuses them. */
export interface Entrance {
  /** Calls back when the client id is its own, and nobody else's connection has it any more. */
  admit(
    client: AedesClient,
    verdict: Verdict | undefined,
    username: string | undefined,
    callback: (error: AuthenticateError | null, isWelcome: boolean) => void,
  ): void
  /** A connection is over; gives back what it had, if it was let in. */
  release(connection: Connection): void
}

const ANOTHERS_CLIENT_ID: ConnectRefusal = {
  returnCode: IDENTIFIER_REJECTED,
  reason: 'its client id is another user’s',
}

/** Creates it; nobody is inside. */
export function createEntrance(aedes: Aedes, context: HookContext, wills: DelayedWills): Entrance {
  const { root, registry, metrics } = context
  const topics = createTopics(root)
  const inside = createTally<Connection>()
  const ownership = createOwnership(context)

  function admitClient(
    client: AedesClient,
    verdict: Verdict | undefined,
    username: string | undefined,
    callback: (error: AuthenticateError | null, isWelcome: boolean) => void,
  ): void {
    const connection = registry.get(client)
    if (verdict?.kind === 'refused') return refuse(verdict.refusal)
    // What it would take now nobody would give back.
    const isGone = !connection || !verdict || connection.state === 'ended'
    if (isGone) return refuse({ returnCode: UNAVAILABLE, reason: 'it has gone' })
    const isAssigned = hasAssignedId(client)
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
    ownership.claim(connection, admission.value, enter, () => refuse(ANOTHERS_CLIENT_ID))

    function enter(): void {
      if (!connection) return
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

  function release(connection: Connection): void {
    const { identity } = connection
    if (!inside.remove(connection) || !identity) return
    context.expiry.forget(connection)
    context.usage.forget(connection)
    ownership.release(connection, identity.user)
  }

  return { admit: admitClient, release }
}
