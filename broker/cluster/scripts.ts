import type { RedisConnection } from '../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../runtime/redis/script.ts'

/** What the brokers run in Redis: one file each, below `scripts/`. */
export interface ClusterScripts {
  readonly append: Script
  readonly beat: Script
  /** Answers in bytes. */
  readonly takeBroker: Script
  readonly closeEstate: Script
  readonly claimClient: Script
  readonly reclaimClient: Script
  readonly releaseClient: Script
  readonly adoptClient: Script
  readonly forgetSession: Script
  readonly writeSession: Script
  /** Answers in bytes. */
  readonly takeSession: Script
}

/** Loads them. */
export function loadClusterScripts(redis: RedisConnection): ClusterScripts {
  const load = (name: string, answer: 'text' | 'bytes' = 'text'): Script =>
    loadScriptFile(redis, new URL(`./scripts/${name}.lua`, import.meta.url), answer)
  return {
    append: load('append'),
    beat: load('beat'),
    takeBroker: load('take-broker', 'bytes'),
    closeEstate: load('close-estate'),
    claimClient: load('claim-client'),
    reclaimClient: load('reclaim-client'),
    releaseClient: load('release-client'),
    adoptClient: load('adopt-client'),
    forgetSession: load('forget-session'),
    writeSession: load('write-session'),
    takeSession: load('take-session', 'bytes'),
  }
}
