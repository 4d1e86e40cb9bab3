import type { AedesPublishPacket } from 'aedes'
import { takeMessageId, type AedesClient } from '../aedes-internals.ts'

/**
 * Notes in the store under which packet identifier a persistent session gets its copy, so that the
 * acknowledgement finds it. Resolves also when the store has no copy: the message is still to be sent.
 */
export async function numberStoredCopy(
  client: AedesClient,
  packet: AedesPublishPacket,
  messageId: number,
): Promise<void> {
  try {
    await client.broker.persistence.outgoingUpdate(client, { ...packet, messageId })
  } catch {
    // Aedes would end the connection here. But a reader that is connected needs no copy.
  }
}

/** Drops the copy of a message that a persistent session is not to get after all. */
export async function dropStoredCopy(
  client: AedesClient,
  packet: AedesPublishPacket,
): Promise<void> {
  const copy = { ...packet, messageId: takeMessageId(client) }
  const { persistence } = client.broker
  try {
    await persistence.outgoingUpdate(client, copy)
    await persistence.outgoingClearMessageId(client, copy)
  } catch {
    // There was none, which is as good.
  }
}
