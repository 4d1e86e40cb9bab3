import type { Client } from 'aedes'
import { generate } from 'mqtt-packet'

/**
 * Ends a connection; a version 5 client is told why if the word can still get through. It is not waited
 * for longer than a turn: a client that does not read would keep its successor waiting.
 */
export function dismiss(
  client: Client,
  reasonCode: number,
  reason?: string,
  done: () => void = () => {},
): void {
  const { conn } = client
  if (client.version !== 5 || !client.connected || !conn.writable || conn.writableNeedDrain) {
    client.close(done)
    return
  }
  client.disconnectReasonCode = reasonCode
  const properties = reason === undefined ? {} : { properties: { reasonString: reason } }
  conn.write(generate({ cmd: 'disconnect', reasonCode, ...properties }, { protocolVersion: 5 }))
  // What is gathered in this turn is flushed in its check phase, with this at its end.
  setImmediate(() => client.close(done))
}
