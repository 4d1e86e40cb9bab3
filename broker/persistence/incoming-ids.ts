import type { SessionClient } from './session-client.ts'

/**
 * The ids of QoS 2 messages that clients have sent and not yet released [MQTT-4.3.3-2]. The messages
 * themselves are on their way already, and a client may leave 65,535 of them open.
 */
export class IncomingIds {
  readonly #bySession = new Map<string, Set<number>>()
  // A clean session is its connection, and nothing tells the store when that ends.
  readonly #byConnection = new WeakMap<SessionClient, Set<number>>()

  /** Whether a message with this id is open. */
  has(client: SessionClient, messageId: number): boolean {
    return this.#idsOf(client)?.has(messageId) ?? false
  }

  /** How many are open. */
  count(client: SessionClient): number {
    return this.#idsOf(client)?.size ?? 0
  }

  /** The open ids of a session. */
  ofSession(clientId: string): Iterable<number> {
    return this.#bySession.get(clientId) ?? []
  }

  /** Opens an id. */
  add(client: SessionClient, messageId: number): void {
    const ids = this.#idsOf(client)
    if (ids !== undefined) ids.add(messageId)
    else if (client.clean === true) this.#byConnection.set(client, new Set([messageId]))
    else this.#bySession.set(client.id, new Set([messageId]))
  }

  /** Releases an id. */
  delete(client: SessionClient, messageId: number): void {
    const ids = this.#idsOf(client)
    ids?.delete(messageId)
    if (ids?.size === 0) this.deleteAll(client)
  }

  /** Releases every id of a session. */
  deleteAll(client: SessionClient): void {
    this.#byConnection.delete(client)
    this.#bySession.delete(client.id)
  }

  #idsOf(client: SessionClient): Set<number> | undefined {
    return client.clean === true ? this.#byConnection.get(client) : this.#bySession.get(client.id)
  }
}
