import type { QoS } from 'mqtt-packet'
import type { AedesClient, EmittedPacket } from '../aedes-internals.ts'
import type { Reader } from './adopt-client.ts'
import { canReceive } from './can-receive.ts'
import type { Grant } from './grant.ts'
import { createMessage } from './message.ts'
import type { FanoutOptions } from './options.ts'
import type { Deliver } from './readers.ts'
import type { WriteGatherer } from './write-gatherer.ts'

/** One message on its way to its readers. */
export interface Delivery {
  /** Delivers it to one client. */
  readonly deliver: Deliver
  /** The shared subscriptions of which a member was there. */
  readonly served: ReadonlySet<string>
  /** Whether a reader so far had much waiting for it already. */
  readonly isBehind: boolean
  /** Why the message could not be encoded. */
  readonly failure: Error | undefined
}

type DeliveryOptions = Pick<Required<FanoutOptions>, 'mayRead' | 'maxQueuedBytes' | 'onSlowReader'>

/** Creates what takes a message and delivers it to one client after the other. */
export function createDelivery(
  options: DeliveryOptions,
  gatherer: WriteGatherer,
): (packet: EmittedPacket) => Delivery {
  const { mayRead, maxQueuedBytes, onSlowReader } = options
  const behindBytes = maxQueuedBytes / 8

  return (packet) => {
    const message = createMessage(packet)
    let served: Set<string> | undefined
    let isBehind = false

    function deliver({ client, outbox }: Reader, grant: Grant, group?: string): void {
      if (group !== undefined) (served ??= new Set()).add(group)
      if (!canReceive(client)) return
      const isStored = group === undefined && grant.stored && packet.qos > 0 && !client.clean
      if (!grant.forward || !mayRead(client, packet)) {
        if (isStored) outbox.withdraw(packet)
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
      if (qos === 0) {
        if (isStored) outbox.withdraw(packet)
        sendPlain(client, grant)
      } else if (group === undefined) {
        outbox.send(packet, grant, qos, isStored, message)
      } else {
        // Beside a copy that its other subscriptions may have for it (4.8.2).
        outbox.send(
          { ...packet, brokerId: `${packet.brokerId}${group}` },
          grant,
          qos,
          false,
          message,
        )
      }
    }

    function sendPlain(client: AedesClient, grant: Grant): void {
      const bytes = message.plain({
        version5: client.version === 5,
        retain: packet.retain && grant.retainAsPublished,
        identifiers: grant.identifiers,
      })
      // A message above what the client takes counts as delivered [MQTT-3.1.2-25].
      if (!bytes || bytes.length > (client.maximumPacketSize ?? Infinity)) return
      gatherer.write(client.conn, bytes)
    }

    return {
      deliver,
      get served() {
        return served ?? NOBODY
      },
      get isBehind() {
        return isBehind
      },
      get failure() {
        return message.failure
      },
    }
  }
}

const NOBODY: ReadonlySet<string> = new Set()

function lower(one: QoS, other: QoS): QoS {
  return one < other ? one : other
}
