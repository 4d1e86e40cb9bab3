import type { Script } from '../../runtime/redis/script.ts'
import type { ClusterKeys } from './keys.ts'

/** A client id that was claimed. */
export interface Claim {
  /** Grows with each claim. */
  readonly number: number
  /** The broker that had it before, if one had. */
  readonly previous: string | undefined
  /** Whether that one was heard lately, and will answer. */
  readonly isPreviousAlive: boolean
  /** Whether there is a session that outlives its connection. */
  readonly hasSession: boolean
}

/** A claim as Redis is told of it later. */
export interface ToldClaim {
  readonly connection: string
  readonly number: number
  readonly user: string
  /** Until when the session of an absent client is kept, by Redis' clock. */
  readonly until: number | undefined
  /** How often the session was taken over from a broker that had died, since it was claimed. */
  readonly heirs: number
}

/** What a broker says to Redis about client ids; throws when Redis does not answer. */
export interface ClaimScripts {
  /** Late: Redis came to it when nobody waited any more, and has not carried it out. */
  claim(clientId: string, connection: string, user: string): Promise<Claim | 'refused' | 'late'>
  reclaim(
    clientId: string,
    claim: ToldClaim,
  ): Promise<Omit<Claim, 'hasSession'> | 'refused' | 'older'>
  /** The session of a connection is kept from now on. */
  keep(clientId: string, connection: string, keptMs: number): Promise<void>
  /** This broker's claims up to a number are over, and so is the session. */
  end(clientId: string, number: number): Promise<void>
}

/** Options of {@link createClaimScripts}. */
export interface ClaimScriptsOptions {
  readonly broker: string
  readonly keys: ClusterKeys
  /** Until when somebody waits for a claim that is made now, in milliseconds of Redis' clock. */
  readonly claimUntil: () => number
  /** `claim-client.lua`. */
  readonly claim: Script
  /** `reclaim-client.lua`. */
  readonly reclaim: Script
  /** `release-client.lua`. */
  readonly release: Script
}

/** A broker that was not heard for this long is not waited for, in milliseconds. */
const SILENT_MS = 2500

/** Runs the scripts, and reads their answers. */
export function createClaimScripts(options: ClaimScriptsOptions): ClaimScripts {
  const { broker, keys } = options

  async function release(clientId: string, ...rest: readonly string[]): Promise<void> {
    const where = [keys.clients, keys.session(clientId), keys.sessions]
    await options.release(where, [clientId, broker, ...rest])
  }

  return {
    async claim(clientId, connection, user) {
      const [verdict, number, previous, silence, hasSession] = (await options.claim(
        [keys.clients, keys.brokers, keys.head, keys.sessions],
        [clientId, broker, connection, user, String(options.claimUntil())],
      )) as readonly ['granted' | 'refused' | 'late', number, string, number, number]
      if (verdict !== 'granted') return verdict
      return { number, ...readPrevious(previous, silence), hasSession: hasSession === 1 }
    },
    async reclaim(clientId, { connection, number, user, until = '', heirs }) {
      const [verdict, previous = '', silence = -1] = (await options.reclaim(
        [keys.clients, keys.brokers, keys.head],
        [clientId, broker, connection, user, String(number), String(until), String(heirs)],
      )) as readonly ['granted' | 'refused' | 'older', string?, number?]
      if (verdict !== 'granted') return verdict
      return { number, ...readPrevious(previous, silence) }
    },
    keep: (clientId, connection, keptMs) => release(clientId, connection, '0', String(keptMs)),
    end: (clientId, number) => release(clientId, '', String(number), '0'),
  }
}

function readPrevious(
  previous: string,
  silence: number,
): Pick<Claim, 'previous' | 'isPreviousAlive'> {
  const isPreviousAlive = silence >= 0 && silence < SILENT_MS
  return { previous: previous === '' ? undefined : previous, isPreviousAlive }
}
