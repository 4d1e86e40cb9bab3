import type { Client } from 'aedes'
import { generate } from 'mqtt-packet'
import type { AedesClient } from '../aedes-internals.ts'

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
  conn.write(encodeDisconnect(reasonCode, reason, client as AedesClient))
  // What is gathered in this turn is flushed in its check phase, with this at its end.
  setImmediate(() => client.close(done))
}

/** Without a reason when the client does not take packets of this size [MQTT-3.14.2-3]. */
function encodeDisconnect(
  reasonCode: number,
  reason: string | undefined,
  { maximumPacketSize = Infinity }: AedesClient,
): Buffer {
  const packet = { cmd: 'disconnect', reasonCode } as const
  const short = generate(packet, { protocolVersion: 5 })
  if (reason === undefined) return short
  const long = generate({ ...packet, properties: { reasonString: reason } }, { protocolVersion: 5 })
  return long.length > maximumPacketSize ? short : long
}
