import type { Topics } from '../../protocol/index.ts'
import type { Cancel, Clock } from '../../runtime/clock.ts'
import { markEverything } from '../doubt.ts'
import type { Link } from '../link/link.ts'
import type { Store } from '../store/store.ts'
import type { Hearing } from './hearing.ts'
import type { LateEnds } from './late-ends.ts'
import type { LostStore } from './lost-store.ts'

/** Finds out what this bridge has missed: its broker while the link was down, all of it while the store was away. */
export interface CatchingUp {
  /** Whether what readers have is what the store says, or will be. */
  readonly isFresh: boolean
  /** The link is up, with its session or without. */
  up(resumed: boolean): void
  /** The store does not answer since then, or its connection is lost. */
  storeIsAway(since: number): void
  /** The store answers again. */
  storeIsBack(): void
  /** The store is steady: arrivals may have waited, and deadlines have passed meanwhile. */
  steady(): void
  /** Something that was heard will not be applied. */
  miss(): void
  close(): void
}

/** Options of {@link createCatchingUp}. */
export interface CatchingUpOptions {
  readonly store: Store
  readonly link: Link
  readonly topics: Topics
  readonly clock: Clock
  readonly hearing: Hearing
  readonly lateEnds: LateEnds
  readonly lostStore: LostStore
  readonly isUp: () => boolean
  readonly publishUser: (user: string) => Promise<void>
  readonly notifyRoom: (room: string) => void
  /** Says whether presence is fresh. */
  readonly sayFresh: (status: 'online' | 'offline') => Promise<unknown>
  /** Whether the last word of any bridge is that it is not. */
  readonly isSaidStale: () => boolean
  /** Says that this bridge is there. */
  readonly sayHere: () => Promise<unknown>
  /** From here on announcements are answers to the call that is returned. */
  readonly beginRollCall: (expectForeign: boolean) => string
  readonly publishRollCall: (call: string) => void
  readonly onError: (error: unknown) => void
}

/** A roll call that is published later than this leaves too little time to answer, in milliseconds. */
const ANSWER_MS = 1000

/** How long the store may be away before readers are told that presence is not fresh, in milliseconds. */
const STALE_MS = 3000

/** How soon what has failed is tried again, in milliseconds. */
const RETRY_MS = 1000

/** Creates it; the link is down. */
export function createCatchingUp(options: CatchingUpOptions): CatchingUp {
  const { store, link, topics, clock, hearing, lateEnds, lostStore, isUp, onError } = options
  let wasUp = false
  let isFresh = false
  /** The roll has yet to be called, for what was not heard or not applied. */
  let isBehind = false
  let hasMissed = false
  /** Whether the link came back with its session. */
  let resumed = false
  /** Readers were told that presence is not fresh, or are going to be. */
  let isStale = false
  let cancelStale: Cancel = () => {}
  let isClosed = false
  const startAfterLink = persist(afterLink)
  const startAfterStore = persist(afterStore)

  /** Runs something until it succeeds, or the same has begun anew: as long as it has not, ends may wait. */
  function persist(run: () => Promise<void>): () => void {
    let round = 0
    return () => {
      const mine = ++round
      const attempt = (): void => {
        if (mine !== round || isClosed) return
        run().catch((error: unknown) => {
          onError(error)
          clock.after(RETRY_MS, attempt)
        })
      }
      attempt()
    }
  }

  async function afterStore(): Promise<void> {
    await hearing.whenSteady()
    if (!isUp()) return
    await showDirty()
    await lostStore.hearForeign()
    callRoll(hasMissed)
    hasMissed = false
    callEnds()
    forgetStale()
    // By this bridge, or by another one while this one could not say otherwise.
    if (options.isSaidStale()) await options.sayFresh('online')
    await lostStore.makeUp()
  }

  function becomeStale(): void {
    // Without a link its will has said so, or the one that comes later finds it out.
    if (!isUp()) return forgetStale()
    options.sayFresh('offline').catch(onError)
  }

  function forgetStale(): void {
    isStale = false
    cancelStale()
  }

  async function afterLink(): Promise<void> {
    // What another bridge hears this one need not ask for. What is retained for this one is an answer.
    const expectForeign = !resumed && hearing.others === 0
    const call = options.beginRollCall(expectForeign)
    const since = clock.now()
    await hearing.whenSteady()
    if (!isUp()) return
    if ((resumed && isFresh) || (await isKnown())) await showDirty()
    else await showAll()
    wasUp = true
    isFresh = true
    forgetStale()
    await Promise.all([options.sayFresh('online'), options.sayHere()])
    if (clock.now() - since < ANSWER_MS) options.publishRollCall(call)
    else callRoll(false)
    callEnds()
    await lostStore.makeUp()
  }

  function callRoll(expectForeign: boolean): void {
    options.publishRollCall(options.beginRollCall(expectForeign))
  }

  function callEnds(): void {
    isBehind = false
    lateEnds.called()
  }

  async function showDirty(): Promise<void> {
    for (const user of await store.dirtyUsers()) options.publishUser(user).catch(onError)
    for (const room of await store.dirtyRooms()) options.notifyRoom(room)
  }

  /** Publishes everything, for a broker that has lost what was retained. */
  async function showAll(): Promise<void> {
    // Marked before anybody says that presence is fresh: should this bridge die others find it.
    await markEverything(store)
    await showDirty()
  }

  /**
   * Whether the broker has what was retained. Who was up before has left its word there: if that is gone,
   * or is a will that came after a restart, only a bridge that says otherwise has seen to the rest.
   */
  async function isKnown(): Promise<boolean> {
    const [status] = await link.readRetained([topics.bridgeStatus])
    return status !== undefined && (!wasUp || new TextDecoder().decode(status.payload) === 'online')
  }

  return {
    get isFresh() {
      return isFresh
    },
    up(isResumed) {
      if (!isResumed) {
        isBehind = true
        isFresh = false
      }
      hearing.resume()
      resumed = isResumed
      startAfterLink()
    },
    storeIsAway(since) {
      if (isStale) return
      isStale = true
      cancelStale = clock.after(since + STALE_MS - clock.now(), becomeStale)
    },
    storeIsBack() {
      isBehind = true
      startAfterStore()
    },
    steady() {
      lateEnds.hold(hearing.unsteadySince)
      if (!isBehind) callEnds()
    },
    miss() {
      hasMissed = true
    },
    close() {
      isClosed = true
      forgetStale()
    },
  }
}
