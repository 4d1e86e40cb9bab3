import type { QoS } from 'mqtt-packet'
import type { AedesSubscription } from '../aedes-internals.ts'

/** How one client is to get one message: what its matching subscriptions grant together. */
export interface Grant {
  /** Whether it gets it at all; no-local subscriptions do not forward the client's own messages. */
  readonly forward: boolean
  /** The highest QoS. */
  readonly qos: QoS
  /** Whether the retain flag stays as it was published. */
  readonly retainAsPublished: boolean
  /** Every subscription identifier [MQTT-3.3.4-3]. */
  readonly identifiers: readonly number[]
  /** Whether Aedes has stored a message above QoS 0 for it, in a persistent session. */
  readonly stored: boolean
}

/** What one subscription grants for another client's message, or for the client's own. */
export function grantOf(subscription: AedesSubscription, isOwn = false): Grant {
  const { qos, nl, rap, si } = subscription
  const stored = qos > 0
  return isOwn && nl
    ? { forward: false, qos: 0, retainAsPublished: false, identifiers: [], stored }
    : {
        forward: true,
        qos,
        retainAsPublished: rap ?? false,
        identifiers: si === undefined ? [] : [si],
        stored,
      }
}

/**
 * What two subscriptions of one client grant together: one copy, with the higher QoS [MQTT-3.3.4-2]. Where
 * one wants the retain flag as published and the other does not, the one that loses nothing wins.
 */
export function combineGrants(one: Grant, other: Grant): Grant {
  return {
    forward: one.forward || other.forward,
    qos: one.qos > other.qos ? one.qos : other.qos,
    retainAsPublished: one.retainAsPublished || other.retainAsPublished,
    identifiers: [...one.identifiers, ...other.identifiers],
    stored: one.stored || other.stored,
  }
}
