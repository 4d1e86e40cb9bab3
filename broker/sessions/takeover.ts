import type { Aedes } from 'aedes'
import { clientOf } from '../aedes-internals.ts'
import { dismiss } from './farewell.ts'

/** Version 5 reason code: session taken over. */
const TAKEN_OVER = 0x8e

/**
 * Ends the connection that has a client id, and goes on when it is gone [MQTT-3.1.4-2] (5: -3). Aedes would
 * answer the new one before, and would wait for ever for an old one that does not read.
 */
export function endPredecessor(aedes: Aedes, clientId: string, then: () => void): void {
  const old = clientOf(aedes, clientId)
  if (old) dismiss(old, TAKEN_OVER, undefined, then)
  else then()
}
