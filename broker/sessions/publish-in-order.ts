import type { Aedes, Client, PublishPacket } from 'aedes'
import { doNotPublish, publishFor, type AedesClient } from '../aedes-internals.ts'
import { hasPayloadFormat } from '../gate/packets/payload-format.ts'
import { PAYLOAD_FORMAT_INVALID } from '../gate/refusal.ts'
import { acknowledge, refusePublication } from './acknowledge.ts'
import { NOWHERE, PublicationRefusal } from './publication-refusal.ts'

/**
 * Publishes a QoS 1 message of a client before it is acknowledged; to be called when everything else has its
 * say in `authorizePublish`. Aedes acknowledges it first and publishes it a turn later: what the client
 * published after it at another QoS overtakes it, an older message stays retained, and when the client has
 * gone in that turn the message is lost.
 *
 * What is refused is answered here, too: Aedes has one reason code for everything.
 */
export function publishInOrder(aedes: Aedes): void {
  const authorizePublish = aedes.authorizePublish.bind(aedes)
  aedes.authorizePublish = (client, packet, callback) => {
    const publish = (message: PublishPacket, answer: (client: AedesClient) => void): void => {
      publishFor(aedes, client as Client, message, (failure) => {
        if (failure) return callback(failure)
        answer(client as AedesClient)
        doNotPublish(packet)
        callback(null)
      })
    }
    const decide = (error?: Error | null): void => {
      if (error && mayGoOn(client, packet)) {
        publish(nothing(packet), (refused) => {
          if (isNumbered(packet)) refusePublication(refused, packet, error)
        })
      } else if (error || !client || !isFirstOfTwo(packet)) {
        callback(error)
      } else {
        publish(packet, (publisher) => acknowledge(publisher, packet.messageId))
      }
    }
    if (isNumbered(packet) && !hasPayloadFormat(packet.payload, packet.properties)) {
      decide(new PublicationRefusal('the payload is not UTF-8', PAYLOAD_FORMAT_INVALID))
    } else {
      authorizePublish(client, packet, decide)
    }
  }
}

/** Whether a client is told what is wrong with its message: in version 5. A will is no packet of a client. */
function mayGoOn(client: Client | null, packet: Partial<PublishPacket>): boolean {
  return client?.version === 5 && packet.cmd !== undefined
}

/** Takes the place of a message that is refused, so that the answers come in the order of the messages. */
function nothing({ cmd, dup }: PublishPacket): PublishPacket {
  return { cmd, topic: NOWHERE, payload: '', qos: 0, retain: false, dup }
}

function isFirstOfTwo(packet: PublishPacket): packet is PublishPacket & { messageId: number } {
  return packet.qos === 1 && isNumbered(packet)
}

function isNumbered(packet: PublishPacket): packet is PublishPacket & { messageId: number } {
  return packet.messageId !== undefined
}
