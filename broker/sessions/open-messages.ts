import { watchPackets, type AedesClient } from '../aedes-internals.ts'

/** Counts the QoS 2 messages of a client that it has not released. */
export interface OpenMessages {
  openIncoming(client: AedesClient): number
}

/**
 * Calls `onTooMany` when a version 5 client has more messages open than it was told in CONNACK that it may
 * [MQTT-3.3.4-7]. A QoS 1 message is acknowledged in the turn in which it is read, and never open.
 */
export function boundOpenMessages(
  client: AedesClient,
  open: OpenMessages,
  max: number,
  onTooMany: () => void,
): void {
  watchPackets(client, ({ cmd, qos }) => {
    if (cmd === 'publish' && qos === 2 && client.version === 5 && open.openIncoming(client) > max) {
      onTooMany()
    }
  })
}
