import { hasAssignedId, wantsCleanStart, type AedesClient } from '../aedes-internals.ts'
import type { Admission } from '../auth/admission.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Connection } from '../connection.ts'
import type { Sessions } from '../limits/sessions.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'

/** To whom client ids belong, here and at all brokers, from CONNECT to the end of a connection. */
export interface Ownership {
  /** Claims the client id of a connection that is to be let in: `then`, or `refused` when it is another user's. */
  claim(connection: Connection, admission: Admission, then: () => void, refused: () => void): void
  /** A connection that was let in is over. */
  release(connection: Connection, user: string): void
}

/** Options of {@link createOwnership}. */
export interface OwnershipOptions {
  readonly sessions: Sessions
  readonly store: MemoryPersistence
  /** The other brokers, where there are some. */
  readonly others: Cluster | undefined
  readonly limits: { readonly sessionExpiryMs: number }
  readonly onError: (error: unknown) => void
}

/** Creates it. */
export function createOwnership(options: OwnershipOptions): Ownership {
  const { sessions, store, others, limits, onError } = options

  function claimHere(
    connection: Connection,
    admission: Admission,
    then: () => void,
    refused: () => void,
  ): void {
    if (sessions.claim(connection.client.id, admission.owner)) return then()
    giveBack(connection, admission)
    refused()
  }

  /** A connection is over, or refused, that has claimed its client id: what there is of a session stays. */
  function giveBack({ id, client }: Connection, { owner, identity }: Admission): void {
    if (!others || others.clients.withdraw(client.id, id)) return
    // It was fetched from another broker.
    const isKept = store.hasSession(client.id) && !wantsCleanStart(client)
    const keptMs = isKept ? keptMsOf(client) : 0
    void others.clients.release(client.id, id, keptMs)
    if (isKept) sessions.adopt(client.id, owner, identity.user, keptMs)
  }

  /** For how long the session of a client outlives its connection, in milliseconds. */
  function keptMsOf({ clean, version, sessionExpiryInterval }: AedesClient): number {
    if (clean) return 0
    const askedMs = version === 5 ? 1000 * sessionExpiryInterval : Infinity
    return Math.min(askedMs, limits.sessionExpiryMs)
  }

  return {
    claim(connection, admission, then, refused) {
      const { id, client } = connection
      if (!others || hasAssignedId(client)) {
        return claimHere(connection, admission, then, refused)
      }
      others
        .claim(client.id, id, admission.owner ?? '', wantsCleanStart(client), () => !client.closed)
        .then((claim) => {
          connection.claim = claim
          if (claim === undefined) return refused()
          if (client.closed) return giveBack(connection, admission)
          return claimHere(connection, admission, then, refused)
        })
        .catch(onError)
    },
    release({ id, client }, user) {
      const keptMs = keptMsOf(client)
      sessions.release(client.id, user, !client.clean, keptMs)
      void others?.clients.release(client.id, id, keptMs)
      others?.wills.delete(client.id, id)
    },
  }
}
