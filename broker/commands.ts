import type { DocumentLimits, Topics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Word } from './cluster/entries.ts'
import { createRates } from './limits/rate.ts'
import { stampDocument } from './presence/stamp.ts'
import type { Registry } from './registry.ts'
import { dismiss } from './sessions/farewell.ts'

/** What an operator, or a page over HTTP, says of connections, which may be at another broker. */
export interface Commands {
  /** Ends every connection of a client id, with the cause `kicked`. */
  kick(clientId: string): void
  /** Says in a client's place that its page is unloading; whether it is the key of a live connection, or may be. */
  unload(unloadKey: string): boolean
  /** Another broker was told so. */
  onWord(word: Word): void
}

/** Options of {@link createCommands}. */
export interface CommandsOptions {
  /** This broker. */
  readonly id: string
  readonly topics: Topics
  readonly documentLimits: DocumentLimits
  readonly clock: Clock
  readonly registry: Registry
  readonly publish: (topic: string, payload: string) => void
  /** Tells the other brokers; absent when there are none. */
  readonly say?: ((word: Word) => void) | undefined
}

/** What a page that unloads would say itself. */
const UNLOAD_HINT = '{"status":"offline","reason":"unload"}'

/** Unload hints that nobody here knows, and that are passed on. */
const STRANGE_HINTS = { perSecond: 200, burstSeconds: 1, patienceSeconds: 0 }

/** Version 5 reason code of a server's DISCONNECT. */
const ADMINISTRATIVE = 0x98

/** Creates them. */
export function createCommands(options: CommandsOptions): Commands {
  const { id, topics, documentLimits, clock, registry, publish, say } = options
  const hints = createRates(STRANGE_HINTS)

  function kickHere(clientId: string): void {
    for (const connection of registry.all()) {
      if (connection.identity?.client !== clientId) continue
      connection.cause = 'kicked'
      dismiss(connection.client, ADMINISTRATIVE)
    }
  }

  function unloadHere(unloadKey: string): boolean {
    const connection = registry.byUnloadKey(unloadKey)
    if (!connection?.identity || connection.state !== 'announced') return false
    const { user, client } = connection.identity
    const hint = stampDocument(connection, UNLOAD_HINT, id, documentLimits)
    if (hint.ok) publish(topics.connection(user, client), hint.value)
    return hint.ok
  }

  return {
    kick(clientId) {
      kickHere(clientId)
      say?.({ type: 'kick', clientId })
    },
    unload(unloadKey) {
      if (unloadHere(unloadKey)) return true
      // Its page may have come to another broker than its connection; strangers may post anything.
      if (!say || hints.take('', clock.now()) !== 0) return false
      say({ type: 'unload', unloadKey })
      return true
    },
    onWord(word) {
      if (word.type === 'kick') kickHere(word.clientId)
      else if (word.type === 'unload') unloadHere(word.unloadKey)
    },
  }
}
