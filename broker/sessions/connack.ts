import { generate, parser, type IConnackPacket } from 'mqtt-packet'
import type { AedesClient } from '../aedes-internals.ts'

/**
 * Changes the CONNACK that Aedes is about to write to a client. Nothing else is written before it, and
 * Aedes leaves no other way: it says of a session without subscriptions that there is none, and of shared
 * subscriptions that they are not available. A client that does not take packets of its size has to go.
 */
export function rewriteConnack(
  client: AedesClient,
  change: (connack: IConnackPacket) => void = () => {},
): void {
  const { conn, maximumPacketSize = Infinity } = client
  const protocolVersion = client.version === 5 ? 5 : 4
  const written = parser({ protocolVersion })
  written.once('packet', (packet) => {
    Reflect.deleteProperty(conn, 'write')
    const connack = packet as IConnackPacket
    if ((connack.reasonCode ?? connack.returnCode) === 0) change(connack)
    const bytes = generate(connack, { protocolVersion })
    // [MQTT-3.1.2-24]
    if (bytes.length > maximumPacketSize) conn.destroy()
    else conn.write(bytes)
  })
  const write = (chunk: Buffer): boolean => {
    written.parse(chunk)
    return true
  }
  Object.defineProperty(conn, 'write', { value: write, configurable: true, writable: true })
}
