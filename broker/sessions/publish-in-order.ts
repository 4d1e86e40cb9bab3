import type { Aedes, PublishPacket } from 'aedes'
import { generate } from 'mqtt-packet'
import { doNotPublish, publishFor, type AedesClient } from '../aedes-internals.ts'

/**
 * Publishes a QoS 1 message of a client before it is acknowledged; to be called when everything else has its
 * say in `authorizePublish`. Aedes acknowledges it first and publishes it a turn later: what the client
 * published after it at another QoS overtakes it, an older message stays retained, and when the client has
 * gone in that turn the message is lost.
 */
export function publishInOrder(aedes: Aedes): void {
  const authorizePublish = aedes.authorizePublish.bind(aedes)
  aedes.authorizePublish = (client, packet, callback) => {
    authorizePublish(client, packet, (error) => {
      if (error || !client || !isFirstOfTwo(packet)) return callback(error)
      const { messageId } = packet
      publishFor(aedes, client, packet, (failure) => {
        if (failure) return callback(failure)
        acknowledge(client as AedesClient, messageId)
        doNotPublish(packet)
        callback(null)
      })
    })
  }
}

function isFirstOfTwo(packet: PublishPacket): packet is PublishPacket & { messageId: number } {
  // A will has no id.
  return packet.qos === 1 && packet.messageId !== undefined
}

function acknowledge(
  { conn, version, disconnectReasonCode }: AedesClient,
  messageId: number,
): void {
  if (!conn.writable || disconnectReasonCode !== null) return
  conn.write(generate({ cmd: 'puback', messageId }, { protocolVersion: version === 5 ? 5 : 4 }))
}
