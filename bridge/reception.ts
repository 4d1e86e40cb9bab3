import type { ConnectionDocument, DocumentLimits } from '../protocol/index.ts'
import { connectionKey } from './core/index.ts'
import { readMessage } from './intake.ts'
import type { LinkMessage } from './link/link.ts'
import type { Metrics } from './metrics.ts'
import type { Roster } from './roster.ts'
import type { Sharing } from './sharing/sharing.ts'
import type { Users } from './users.ts'
import type { Witness } from './witness.ts'

/** Takes what the link brings to where it belongs. */
export type Reception = (message: LinkMessage) => Promise<void>

/** Options of {@link createReception}. */
export interface ReceptionOptions {
  readonly root: string
  readonly documentLimits: DocumentLimits
  readonly metrics: Metrics
  readonly roster: Roster
  readonly users: Users
  readonly sharing: Sharing | undefined
  /** Where there is something between the bridge and its broker. */
  readonly witness: Witness | undefined
  /** A bridge, this one too, says whether presence is fresh. */
  readonly onStatus: (status: string) => void
  /** A bridge that goes, or another one, says that it is not there. */
  readonly onTakenForDead: (bridge: string) => void
  /** A message was dropped. */
  readonly onInvalid: (topic: string, error: string) => void
  readonly onError: (error: unknown) => void
}

/** Creates it. */
export function createReception(options: ReceptionOptions): Reception {
  const { root, documentLimits, metrics, roster, users, sharing, witness, onError } = options

  async function takeDocument(
    user: string,
    client: string,
    document: ConnectionDocument,
  ): Promise<void> {
    metrics.documents++
    const { broker = null, connection, status } = document
    if (status !== 'offline') roster.announced(broker, user, connectionKey(client, connection))
    const apply = (said: ConnectionDocument): Promise<unknown> =>
      users.apply(user, { type: 'document', client, document: said }).catch(onError)
    await (sharing ? sharing.take(user, client, document, apply) : apply(document))
  }

  return async (message) => {
    const incoming = readMessage(root, message, documentLimits)
    switch (incoming.kind) {
      case 'document':
        await takeDocument(incoming.user, incoming.client, incoming.document)
        return
      case 'heartbeat':
        roster.heartbeat(incoming.beat)
        witness?.heard(incoming.beat.broker, incoming.beat.ping)
        return
      case 'ping':
        witness?.echoed(incoming.ping)
        return
      case 'status':
        options.onStatus(incoming.status)
        return
      case 'bridge':
        if (incoming.status !== 'online') options.onTakenForDead(incoming.bridge)
        return
      case 'invalid':
        metrics.invalid++
        options.onInvalid(message.topic, incoming.error)
    }
  }
}
