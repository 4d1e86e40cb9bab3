import type { AedesPublishPacket } from 'aedes'

import {
  OutgoingQueue,
  type OutgoingPacket,
  type PacketReference,
  type QueueingSubscription,
} from './outgoing-queue.ts'
import { ownPayload } from './own-payload.ts'

/** What says for which session a message is queued, and how it is delivered to it. */
export interface SessionRecipient extends QueueingSubscription {
  readonly clientId: string
}

/** The messages above QoS 0 of all sessions. */
export class SessionQueues {
  readonly #bySession = new Map<string, OutgoingQueue>()
  readonly #maxQueued: number
  readonly #onChanged: (clientId: string, key: string) => void
  #overflowed = 0

  /**
   * @param maxQueued how many messages may wait for one session, of which the oldest goes first
   * @param onChanged called with the key of what came, went, or was sent
   */
  constructor(maxQueued: number, onChanged: (clientId: string, key: string) => void) {
    this.#maxQueued = maxQueued
    this.#onChanged = onChanged
  }

  /** How many messages went because too many waited for a session. */
  get overflowed(): number {
    return this.#overflowed
  }

  /** The queue of a session, if it has one. */
  get(clientId: string): OutgoingQueue | undefined {
    return this.#bySession.get(clientId)
  }

  /** The queue of a session, which may be a new one. */
  open(clientId: string): OutgoingQueue {
    let queue = this.#bySession.get(clientId)
    if (queue === undefined) {
      queue = new OutgoingQueue(
        this.#maxQueued,
        () => this.#overflowed++,
        (key) => this.#onChanged(clientId, key),
      )
      this.#bySession.set(clientId, queue)
    }
    return queue
  }

  /** Queues a message for several sessions. */
  add(recipients: readonly SessionRecipient[], packet: AedesPublishPacket): void {
    if (recipients.length === 0) return
    const shared = { ...packet, payload: ownPayload(packet.payload) }
    for (const recipient of recipients) this.open(recipient.clientId).add(shared, recipient)
  }

  /** Takes what was acknowledged out of a session's queue. */
  remove(clientId: string, packet: PacketReference): OutgoingPacket | undefined {
    const queue = this.#bySession.get(clientId)
    const removed = queue?.remove(packet)
    // While its client is there the queue is in use.
    if (queue?.size === 0 && !queue.isLive) this.#bySession.delete(clientId)
    return removed
  }

  /** Forgets all that waits for a session; nobody is told. */
  delete(clientId: string): void {
    this.#bySession.delete(clientId)
  }
}
