import { replaceDelivery, type AedesClient, type EmittedPacket } from '../aedes-internals.ts'
import type { Reader } from './adopt-client.ts'
import { canReceive } from './can-receive.ts'
import type { Delivery } from './delivery.ts'
import type { Grant } from './grant.ts'

/** So much may wait in a connection before the next message is fetched for it, in bytes. */
const AHEAD_BYTES = 64 * 1024

/**
 * Takes over what Aedes sends to one client alone: the retained messages for a SUBSCRIBE, and what an
 * embedder publishes to it. They come one by one, each when the one before it is on its way.
 */
export function takeSingleMessages(
  reader: Reader,
  createMessageDelivery: (packet: EmittedPacket) => Delivery,
): void {
  const { client } = reader
  replaceDelivery(client, (packet, done) => {
    const send = (): void => {
      if (canReceive(client)) createMessageDelivery(packet).deliver(reader, grantOfSingle(packet))
      whenSent(client, done)
    }
    // Not before CONNACK [MQTT-3.2.0-1].
    if (client.connackSent || client.closed) send()
    else client.once('connected', send)
  })
}

function grantOfSingle({ qos, properties }: EmittedPacket): Grant {
  return {
    forward: true,
    qos,
    // As it is: set for what is retained [MQTT-3.3.1-8].
    retainAsPublished: true,
    identifiers: [properties?.subscriptionIdentifier ?? []].flat(),
    stored: false,
  }
}

function whenSent({ conn }: AedesClient, done: () => void): void {
  const isFar = conn.writable && conn.writableLength > AHEAD_BYTES
  if (isFar) conn.write(Buffer.alloc(0), () => done())
  else setImmediate(done)
}
