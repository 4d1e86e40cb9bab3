import type { Topics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Policy } from './core/index.ts'
import { markEverything } from './doubt.ts'
import type { Link } from './link/link.ts'
import type { Publisher } from './publisher.ts'
import { readRemains } from './remains.ts'
import { restoreStore } from './restore.ts'
import type { RollCall } from './roll-call.ts'
import type { Store } from './store/store.ts'

/** What a bridge does that has its store for itself, when it starts and when its link comes up. */
export interface CatchUp {
  /** Fills the store with what is retained; resolves to the brokers that have to be heard, or are lost. */
  restore(): Promise<Iterable<string>>
  /** Publishes what readers may lack, says that presence is fresh, calls the roll. */
  publish(resumed: boolean): Promise<void>
}

/** Options of {@link createCatchUp}. */
export interface CatchUpOptions {
  readonly store: Store
  readonly link: Link
  readonly topics: Topics
  readonly clock: Clock
  readonly policy: Policy
  readonly publisher: Publisher
  readonly rollCall: RollCall
  readonly publishUser: (user: string) => Promise<void>
  readonly notifyRoom: (room: string) => void
  readonly onError: (error: unknown) => void
}

/** Creates it. */
export function createCatchUp(options: CatchUpOptions): CatchUp {
  const { store, link, topics, clock, policy, publisher, rollCall, onError } = options

  /** Whether the broker has lost what was retained: a restart without a disk loses even this bridge's will. */
  async function brokerForgot(): Promise<boolean> {
    if ((await store.allUsers()).length === 0) return false
    return (await link.readRetained([topics.bridgeStatus])).length === 0
  }

  /** Says that presence is fresh, and asks who is there once the subscriptions are on their way. */
  async function announce(call: string): Promise<void> {
    await publisher.publishStatus('online')
    rollCall.publish(call)
  }

  return {
    async restore() {
      return restoreStore(store, await readRemains(link, topics), clock.now(), policy)
    },
    async publish(resumed) {
      // Marked, so that what is not published before the link breaks again is published then.
      if (!resumed && (await brokerForgot())) await markEverything(store)
      for (const user of await store.dirtyUsers()) options.publishUser(user).catch(onError)
      for (const room of await store.dirtyRooms()) options.notifyRoom(room)
      announce(rollCall.begin(!resumed)).catch(onError)
    },
  }
}
