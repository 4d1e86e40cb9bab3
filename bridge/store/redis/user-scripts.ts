import type { RedisConnection } from '../../../runtime/redis/connection.ts'
import type { UserKeys } from './keys.ts'
import { loadScript } from './script.ts'

/** What `save-user.lua` is told. */
interface SaveUserArguments {
  readonly user: string
  readonly expected: number
  readonly brokers: string
  readonly heard: string
  readonly state: string
  readonly deadline: number | null
  readonly dirty: boolean
  readonly activity: readonly string[]
  /** A field of the outbox and an operation, in turn. */
  readonly outbox: readonly string[]
}

/** A field of a hash and its value, in turn. */
export type Fields = readonly string[]

/** What `list-abandoned.lua` finds. */
interface Abandoned {
  readonly time: string
  readonly dirty: Fields
  readonly outbox: Fields
}

/** The scripts that work on users: one function for each. */
export interface UserScripts {
  /** The new revision, or undefined when another writer was faster. */
  saveUser(keys: UserKeys, args: SaveUserArguments): Promise<string | undefined>
  removeUser(keys: UserKeys, user: string, revision: number): Promise<boolean>
  /** False when another store has written since. */
  confirmUser(keys: UserKeys, user: string, revision: number, left: Fields): Promise<boolean>
  /** Clears operations by field and revision. */
  confirmOutbox(keys: UserKeys, cleared: Fields): Promise<void>
  listAbandoned(keys: UserKeys, dirtyMs: number, outboxMs: number): Promise<Abandoned>
}

/** Loads the scripts. */
export function loadUserScripts(
  redis: RedisConnection,
  owner: string,
  maxActivity: number,
): UserScripts {
  const saveUser = loadScript(redis, 'save-user')
  const removeUser = loadScript(redis, 'remove-user')
  const confirmUser = loadScript(redis, 'confirm-user')
  const confirmOutbox = loadScript(redis, 'confirm-outbox')
  const listAbandoned = loadScript(redis, 'list-abandoned')
  return {
    async saveUser({ states, deadlines, dirty, outbox, activity, brokers }, args) {
      const reply = await saveUser(
        [states, deadlines, dirty, outbox, activity, brokers],
        [
          args.user,
          String(args.expected),
          owner,
          args.brokers,
          args.heard,
          args.state,
          args.deadline === null ? '' : String(args.deadline),
          args.dirty ? '1' : '0',
          String(maxActivity),
          String(args.activity.length),
          ...args.activity,
          ...args.outbox,
        ],
      )
      return (reply as string | null) ?? undefined
    },
    async removeUser({ states, deadlines, dirty, brokers }, user, revision) {
      const keys = [states, deadlines, dirty, brokers]
      return (await removeUser(keys, [user, String(revision), owner])) === 1
    },
    async confirmUser({ states, dirty }, user, revision, left) {
      const args = [user, String(revision), owner, ...left]
      return (await confirmUser([states, dirty], args)) === 1
    },
    async confirmOutbox({ outbox }, cleared) {
      await confirmOutbox([outbox], cleared)
    },
    async listAbandoned({ dirty, outbox }, dirtyMs, outboxMs) {
      const reply = await listAbandoned([dirty, outbox], [String(dirtyMs), String(outboxMs)])
      const [time, marks, operations] = reply as readonly [string, Fields, Fields]
      return { time, dirty: marks, outbox: operations }
    },
  }
}
