import type { AedesClient } from '../aedes-internals.ts'

/**
 * Whether a message may be written to a client now: after its CONNACK [MQTT-3.2.0-1], before a DISCONNECT
 * from either side [MQTT-3.14.4-1]. What a persistent session misses meanwhile is in the store.
 */
export function canReceive(client: AedesClient): boolean {
  return client.connackSent && client.disconnectReasonCode === null && client.conn.writable
}
