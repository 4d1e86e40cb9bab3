import type { ConnectionDocument, Topics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Policy } from './core/index.ts'
import { createHeard, type Heard } from './heard.ts'
import { createHearing, type Hearing } from './hearing.ts'
import type { Link, LinkMessage } from './link/link.ts'
import { reconcileStore } from './reconcile.ts'
import { readRemains } from './remains.ts'
import type { SharedStore, Store } from './store/store.ts'
import { createWindow } from './window.ts'

/** What a bridge does because others may work on the same store, and because the store may fail. */
export interface Sharing {
  readonly hearing: Hearing
  readonly heard: Heard
  /** Makes sure that the store has its data; resolves to the brokers that have to be heard, or are lost. */
  start(): Promise<readonly string[]>
  /** The link is up: publishes what was left, says that presence is fresh, calls the roll. */
  up(resumed: boolean): void
  /** Begins to apply a document unless too many wait; resolves when the next one may come. */
  take(document: ConnectionDocument, apply: Apply): Promise<void>
  /** Publishes what a bridge that died did not. */
  finishAbandoned(): Promise<void>
  metrics(): Record<string, number>
  close(): void
}

type Apply = (document: ConnectionDocument) => Promise<unknown>

/** A document that has come lately, and when. */
interface Recent {
  readonly at: number
  readonly document: ConnectionDocument
  readonly apply: Apply
}

/** Options of {@link createSharing}. */
export interface SharingOptions {
  readonly store: Store
  readonly shared: SharedStore
  readonly link: Link
  readonly topics: Topics
  readonly clock: Clock
  readonly policy: Policy
  readonly logger: Logger
  readonly isUp: () => boolean
  readonly publishUser: (user: string) => Promise<void>
  readonly notifyRoom: (room: string) => void
  readonly sayOnline: () => Promise<unknown>
  /** From here on announcements are answers to the call that is returned. */
  readonly beginRollCall: (expectForeign: boolean) => string
  readonly publishRollCall: (call: string) => void
  readonly onMessage: (message: LinkMessage) => Promise<void>
  /** Nobody could hear for this long: moves all deadlines by it. */
  readonly onDeaf: (ms: number) => Promise<void>
  /** Deadlines may be acted upon again. */
  readonly onSteady: () => void
  /** They may, after a time without the store: who was silent meanwhile may have been out of reach. */
  readonly onReturn: () => void
  readonly onError: (error: unknown) => void
}

/** Inputs that may wait for a store that does not answer; what comes on top the roll call makes good. */
const MAX_WAITING = 100_000

/** Inputs that are kept to be applied again, should the store lose what it stored last. */
const MAX_RECENT = 10_000

/** How far back a store may lose what it stored, in milliseconds. */
const RECENT_MS = 60_000

/** A roll call that is published later than this leaves too little time to answer, in milliseconds. */
const ANSWER_MS = 1000

/** Creates it; the store is not looked at before the start. */
export function createSharing(options: SharingOptions): Sharing {
  const { store, shared, link, topics, clock, policy, logger, isUp, onError } = options
  const window = createWindow(clock, () => hearing.steady)
  const recent: Recent[] = []
  const hearing = createHearing({
    shared,
    clock,
    async onDeaf(ms) {
      logger.warn({ ms }, 'nobody could hear; deadlines move by that time')
      await options.onDeaf(ms)
    },
    onLacking,
    onBack,
    onSteady,
    onError,
  })
  const heard = createHeard(() => clock.now())
  let isRestored = false
  let wasAway = false
  let missed = 0

  function onSteady(): void {
    if (wasAway) options.onReturn()
    wasAway = false
    options.onSteady()
  }

  async function onLacking(): Promise<void> {
    const remains = await readRemains(link, topics)
    logger.info(
      { users: remains.users.size },
      'the store is new; it is filled from what is retained',
    )
    await reconcileStore(store, remains, clock.now(), policy)
    isRestored = true
  }

  function onBack(ms: number): void {
    logger.warn({ ms }, 'the store answers again')
    wasAway = true
    refresh().catch(onError)
  }

  /** Finds out what happened while the store was away. */
  async function refresh(): Promise<void> {
    await hearing.whenSteady()
    if (!isUp()) return
    const [wasRestored, hasMissed] = [isRestored, missed > 0]
    isRestored = false
    missed = 0
    await showDirty()
    if (wasRestored) {
      // What a plain device has retained is all that is known of it now.
      const said = await link.readRetained([`${topics.root}/connections/+/+`])
      for (const message of said) await options.onMessage(message)
    }
    if (wasRestored) {
      // The store may have lost what was stored last; what it has not lost it knows again.
      for (const { at, document, apply } of recent) {
        if (at >= clock.now() - RECENT_MS) await window.admit(apply(repeat(document, at)))
      }
    }
    callRoll(hasMissed)
  }

  async function showDirty(): Promise<void> {
    for (const user of await store.dirtyUsers()) options.publishUser(user).catch(onError)
    for (const room of await store.dirtyRooms()) options.notifyRoom(room)
  }

  /** Publishes everything, for a broker that has lost what was retained. */
  async function showAll(): Promise<void> {
    for (const user of await store.allUsers()) options.publishUser(user).catch(onError)
    for (const room of await store.allRooms()) {
      await store.doubtRoom(room)
      options.notifyRoom(room)
    }
  }

  function callRoll(expectForeign: boolean): void {
    options.publishRollCall(options.beginRollCall(expectForeign))
  }

  async function catchUp(resumed: boolean): Promise<void> {
    // What another bridge hears this one need not ask for. What is retained for this one is an answer.
    const expectForeign = !resumed && hearing.others === 0
    const call = options.beginRollCall(expectForeign)
    const since = clock.now()
    await hearing.whenSteady()
    if (!isUp()) return
    isRestored = false
    const knowsUs = resumed || (await link.readRetained([topics.bridgeStatus])).length > 0
    if (knowsUs) await showDirty()
    else await showAll()
    await options.sayOnline()
    if (clock.now() - since < ANSWER_MS) options.publishRollCall(call)
    else callRoll(false)
  }

  return {
    hearing,
    heard,
    async start() {
      await hearing.start()
      return shared.brokers()
    },
    up(resumed) {
      heard.restart()
      hearing.resume()
      catchUp(resumed).catch(onError)
    },
    async take(document, apply) {
      if (window.open >= MAX_WAITING) {
        missed++
        return
      }
      recent.push({ at: clock.now(), document, apply })
      if (recent.length > 2 * MAX_RECENT) recent.splice(0, MAX_RECENT)
      await window.admit(apply(document))
    },
    async finishAbandoned() {
      if (!isUp() || !hearing.steady) return
      const { users, rooms } = await shared.takeAbandoned()
      for (const user of users) options.publishUser(user).catch(onError)
      for (const room of rooms) options.notifyRoom(room)
    },
    metrics: () => ({
      storeReady: hearing.steady ? 1 : 0,
      otherBridges: hearing.others,
      waitingInputs: window.open,
    }),
    close() {
      hearing.close()
    },
  }
}

/** A document that is applied once more: it must not count as the newest of its client. */
function repeat(document: ConnectionDocument, lastSeen: number): ConnectionDocument {
  return document.broker === undefined ? document : { lastSeen, ...document }
}
