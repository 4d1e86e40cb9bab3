import { randomUUID } from 'node:crypto'
import type { RedisConnection } from '../../../runtime/redis/connection.ts'
import type { Keys } from './keys.ts'
import { loadScript } from './script.ts'
import type { Beat, DataCheck, SilentBridge } from '../store.ts'

/** The scripts by which bridges tell each other how they are: one function for each. */
export interface SharedScripts {
  /** @param sentAt when it was sent, by Redis' clock as far as that is known */
  beat(
    heardMs: number | null,
    sentAt: number | null,
    bridge: string,
  ): Promise<Beat & { readonly time: number }>
  silentBridges(): Promise<readonly SilentBridge[]>
  endPause(): Promise<void>
  /** @param id what Redis is now; for `done` what it was when it was claimed */
  claimIncarnation(
    id: string,
    deed: 'look' | 'claim' | 'renew' | 'done' | 'leave',
  ): Promise<DataCheck>
}

/** Beats that are apart by no more than this are not a gap, in milliseconds. */
const TOLERANCE_MS = 200

/** A beat that took longer than this to reach Redis tells of a time that is over, in milliseconds. */
const LATE_MS = 1200

/** How long a bridge may take to move the deadlines before another one does, in milliseconds. */
const PAUSE_MS = 5000

/** A bridge that has not beaten for so long has died, or is stuck, in milliseconds. */
const SILENT_MS = 3000

/** How long a bridge may be silent that makes good what Redis lacks, before another one does, in milliseconds. */
const RESTORE_MS = 6000

/** Loads the scripts. */
export function loadSharedScripts(
  redis: RedisConnection,
  keys: Keys,
  owner: string,
): SharedScripts {
  const beat = loadScript(redis, 'beat')
  const silentBridges = loadScript(redis, 'silent-bridges')
  const endPause = loadScript(redis, 'end-pause')
  const claimIncarnation = loadScript(redis, 'claim-incarnation')
  return {
    async beat(heardMs, sentAt, bridge) {
      const heard = String(Math.round(heardMs ?? -1))
      const sent = sentAt === null ? '' : String(Math.round(sentAt))
      const times = [String(TOLERANCE_MS), String(PAUSE_MS), sent, String(LATE_MS)]
      const args = [owner, heard, ...times, bridge]
      const reply = await beat([keys.beats, keys.pause, keys.names], args)
      const [time, others, paused, deafMs, late] = reply as readonly number[]
      return {
        time: time ?? 0,
        others: others ?? 0,
        paused: paused === 1,
        deafMs: deafMs ?? 0,
        late: late === 1,
      }
    },
    async silentBridges() {
      const reply = await silentBridges([keys.names, keys.beats], [String(SILENT_MS)])
      const found = reply as readonly string[]
      const pairs = Array.from({ length: found.length / 2 }, (_, i) =>
        found.slice(2 * i, 2 * i + 2),
      )
      return pairs.map(([store = '', bridge = '']) => ({ store, bridge }))
    },
    async endPause() {
      await endPause([keys.pause], [owner])
    },
    async claimIncarnation(id, deed) {
      const args = [id, owner, String(RESTORE_MS), deed, randomUUID()]
      const reply = await claimIncarnation([keys.incarnation], args)
      const [code, data] = reply as readonly [0 | 1 | 2, string]
      const state = STATES[code]
      return state === 'whole' ? { state, data } : { state }
    },
  }
}

const STATES = ['whole', 'lacking', 'waiting'] as const
