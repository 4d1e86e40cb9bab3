import type { QoS } from 'mqtt-packet'
import { takeMessageId, type AedesClient, type EmittedPacket } from '../aedes-internals.ts'
import { canReceive } from './can-receive.ts'
import type { Grant } from './grant.ts'
import { createMessage } from './message.ts'
import type { FanoutOptions } from './options.ts'
import { dropStoredCopy, numberStoredCopy } from './stored-copy.ts'
import { createWriteGatherer } from './write-gatherer.ts'

/** One message on its way to its readers. */
export interface Delivery {
  /** Delivers it to one client. */
  readonly deliver: (client: AedesClient, grant: Grant) => void
  /** Whether a reader so far had much waiting for it already. */
  readonly isBehind: boolean
  /** Why the message could not be encoded. */
  readonly failure: Error | undefined
}

type DeliveryOptions = Pick<Required<FanoutOptions>, 'mayRead' | 'maxQueuedBytes' | 'onSlowReader'>

/** Creates what takes a message and delivers it to one client after the other. */
export function createDelivery(options: DeliveryOptions): (packet: EmittedPacket) => Delivery {
  const { mayRead, maxQueuedBytes, onSlowReader } = options
  const behindBytes = maxQueuedBytes / 8
  const gatherer = createWriteGatherer()

  return (packet) => {
    const message = createMessage(packet)
    let isBehind = false

    function deliver(client: AedesClient, grant: Grant): void {
      if (!canReceive(client)) return
      const isStored = grant.stored && packet.qos > 0 && !client.clean
      if (!grant.forward || !mayRead(client, packet)) {
        if (isStored) void dropStoredCopy(client, packet)
        return
      }
      const queued = client.conn.writableLength
      if (queued > behindBytes) isBehind = true
      if (queued > maxQueuedBytes) {
        onSlowReader(client, queued)
        return
      }

      // Aedes does not lower the QoS for subscriptions with wildcards.
      const qos = lower(packet.qos, grant.qos)
      const variant = {
        version5: client.version === 5,
        retain: packet.retain && grant.retainAsPublished,
        identifiers: grant.identifiers,
      }
      const messageId = qos === 0 ? 0 : takeMessageId(client)
      const bytes = qos === 0 ? message.plain(variant) : message.numbered(variant, qos, messageId)
      if (!bytes) return
      const fits = bytes.length <= (client.maximumPacketSize ?? Infinity)
      if (isStored && (qos === 0 || !fits)) void dropStoredCopy(client, packet)
      // A message above what the client takes counts as delivered [MQTT-3.1.2-25].
      if (!fits) return
      if (isStored && qos > 0) void sendNumbered(client, bytes, messageId)
      else gatherer.write(client.conn, bytes)
    }

    async function sendNumbered(
      client: AedesClient,
      bytes: Buffer,
      messageId: number,
    ): Promise<void> {
      await numberStoredCopy(client, packet, messageId)
      if (canReceive(client)) gatherer.write(client.conn, bytes)
    }

    return {
      deliver,
      get isBehind() {
        return isBehind
      },
      get failure() {
        return message.failure
      },
    }
  }
}

function lower(one: QoS, other: QoS): QoS {
  return one < other ? one : other
}
