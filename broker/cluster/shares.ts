import type { EmittedPacket } from '../aedes-internals.ts'
import type { Word } from './entries.ts'

/** Which broker serves a shared subscription that has members at several (4.8.2). */
export interface Shares {
  /** Whether a message is for a member of this broker: all brokers answer alike, and one of them says yes. */
  serves(name: string, packet: EmittedPacket): boolean
  /** Another broker says of which shared subscriptions it has members. */
  heard(from: string, word: Extract<Word, { type: 'shares' }>): void
  /** Says what has changed here; `again` says everything. */
  tell(again?: boolean): void
  /** Only these brokers are there. */
  keepOnly(brokers: ReadonlySet<string>): void
}

/** Options of {@link createShares}. */
export interface SharesOptions {
  readonly broker: string
  readonly say: (word: Word) => void
  /** The shared subscriptions of clients that are here. */
  readonly live: () => Iterable<string>
  /** Those of sessions that are kept here, whether their clients are there or not. */
  readonly kept: () => Iterable<string>
}

interface Members {
  readonly live: ReadonlySet<string>
  readonly kept: ReadonlySet<string>
}

/** Creates it; knows nobody. */
export function createShares(options: SharesOptions): Shares {
  const { broker } = options
  const others = new Map<string, Members>()
  let said: Members = { live: new Set(), kept: new Set() }

  return {
    serves(name, packet) {
      if (others.size === 0) return true
      const isLiveHere = said.live.has(name)
      const live = candidates(name, 'live', isLiveHere)
      if (live.length > 0) return isChosen(live, packet)
      const kept = candidates(name, 'kept', said.kept.has(name))
      return kept.length === 0 || isChosen(kept, packet)
    },
    heard(from, { live, kept }) {
      if (live.length === 0 && kept.length === 0) others.delete(from)
      else others.set(from, { live: new Set(live), kept: new Set(kept) })
    },
    tell(again = false) {
      const now = { live: new Set(options.live()), kept: new Set(options.kept()) }
      const isSame = areEqual(now.live, said.live) && areEqual(now.kept, said.kept)
      said = now
      if (isSame && !(again && now.live.size + now.kept.size > 0)) return
      options.say({ type: 'shares', live: [...now.live], kept: [...now.kept] })
    },
    keepOnly(brokers) {
      for (const other of others.keys()) if (!brokers.has(other)) others.delete(other)
    },
  }

  function candidates(name: string, kind: keyof Members, isHere: boolean): string[] {
    const brokers = isHere ? [broker] : []
    for (const [other, members] of others) if (members[kind].has(name)) brokers.push(other)
    return brokers.toSorted()
  }

  function isChosen(
    brokers: readonly string[],
    { brokerId, brokerCounter }: EmittedPacket,
  ): boolean {
    return brokers[hash(`${brokerId}:${brokerCounter}`) % brokers.length] === broker
  }
}

function areEqual(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((item) => other.has(item))
}

/** FNV-1a, of 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
