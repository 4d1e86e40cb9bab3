import type { ConnectPacket } from 'aedes'

import type { SessionClient } from './session-client.ts'

/** A will as Aedes stores it: with whose it is, and which broker has to publish it. */
export type StoredWill = NonNullable<ConnectPacket['will']> & {
  clientId?: string
  brokerId?: string
}

/** The will of each connected client. */
export class WillStore {
  readonly #wills = new Map<string, { readonly will: StoredWill; readonly owner: SessionClient }>()

  /** Stores a client's will in the place of an older one. */
  put(owner: SessionClient, will: StoredWill, brokerId: string): void {
    // Aedes reads both from the very object that it passed.
    will.brokerId = brokerId
    will.clientId = owner.id
    this.#wills.set(owner.id, { will, owner })
  }

  /** The stored will of a client id. */
  get({ id }: SessionClient): StoredWill | undefined {
    return this.#wills.get(id)?.will
  }

  /**
   * Removes a client's will. After a takeover Aedes cleans up for the old connection when the new
   * one has stored its will, and names no more than the client id: that of a live connection stays.
   */
  delete(client: SessionClient): StoredWill | undefined {
    const stored = this.#wills.get(client.id)
    if (stored === undefined) return undefined
    const late = client.brokerId !== undefined && stored.owner.closed === false
    if (late) return undefined
    this.#wills.delete(client.id)
    return stored.will
  }

  /**
   * The wills that brokers left behind. Never those of the broker that asks: having slept through
   * its own heartbeats (suspended, for one) it would take itself for dead, and live clients with it.
   */
  *orphans(asking: string, alive: Readonly<Record<string, unknown>>): Generator<StoredWill> {
    for (const { will } of this.#wills.values()) {
      const { brokerId } = will
      if (brokerId === undefined || brokerId === asking || Object.hasOwn(alive, brokerId)) continue
      yield will
    }
  }
}
