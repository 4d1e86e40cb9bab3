import type { AedesClient } from '../aedes-internals.ts'
import { dismiss } from './farewell.ts'

/** Options of {@link surrenderSessions}. */
export interface SurrenderOptions {
  /** The client ids that have a session here. */
  readonly sessions: Iterable<string>
  /** Those who are connected. */
  readonly clients: Iterable<AedesClient>
  readonly isConnected: (clientId: string) => boolean
  /** Runs something when nobody is in the middle of connecting under that client id. */
  readonly inLine: (clientId: string, run: () => void) => void
  /** Forgets a session. */
  readonly drop: (clientId: string) => void
}

/** Version 5 reason code of a server's DISCONNECT. */
const SERVER_BUSY = 0x89

/** Other brokers took this one for dead: they have its sessions, and think its clients gone. */
export function surrenderSessions(options: SurrenderOptions): void {
  const { sessions, clients, isConnected, inLine } = options

  /** Another broker has it, unless its client comes back at this very moment. */
  function surrender(clientId: string): void {
    inLine(clientId, () => {
      if (!isConnected(clientId)) options.drop(clientId)
    })
  }

  for (const clientId of sessions) if (!isConnected(clientId)) surrender(clientId)
  // Who has a session fetches it by coming back.
  for (const client of clients) {
    if (!client.clean) dismiss(client, SERVER_BUSY, undefined, () => surrender(client.id))
  }
}
