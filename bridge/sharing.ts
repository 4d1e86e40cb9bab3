import type { ConnectionDocument, Topics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Policy } from './core/index.ts'
import { markEverything } from './doubt.ts'
import { createHeard, type Heard } from './heard.ts'
import { createHearing, type Hearing } from './hearing.ts'
import { createLateEnds, type LateEnds } from './late-ends.ts'
import type { Link, LinkMessage } from './link/link.ts'
import { createRecent, type LastWord } from './recent.ts'
import { reconcileStore } from './reconcile.ts'
import { correctShown } from './correct-shown.ts'
import { restoreWords } from './restore-words.ts'
import { inSlices } from './slices.ts'
import { readRemains } from './remains.ts'
import type { SharedStore, Store } from './store/store.ts'
import { createWindow } from './window.ts'

/** What a bridge does because others may work on the same store, and because the store may fail. */
export interface Sharing {
  readonly hearing: Hearing
  readonly heard: Heard
  readonly lateEnds: LateEnds
  /** Whether deadlines count. */
  readonly mayJudge: boolean
  /** Whether what readers have is what the store says, or will be. */
  readonly isFresh: boolean
  /** Makes sure that the store has its data; resolves to the brokers that have to be heard, or are lost. */
  start(): Promise<readonly string[]>
  /** The link is up: publishes what was left, says that presence is fresh, calls the roll. */
  up(resumed: boolean): void
  /** Begins to apply a document unless too many wait; resolves when the next one may come. */
  take(user: string, client: string, document: ConnectionDocument, apply: Apply): Promise<void>
  /** Publishes what a bridge that died did not. */
  finishAbandoned(): Promise<void>
  metrics(): Record<string, number>
  close(): void
}

type Apply = (document: ConnectionDocument) => Promise<unknown>

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
  /** They may, after the store was away since then: who was silent meanwhile may have been out of reach. */
  readonly onReturn: (since: number) => void
  /** Whether a broker is there, as far as anybody knows. */
  readonly isThere: (broker: string) => boolean
  /** Whether brokers have yet to answer the roll call. */
  readonly isAsking: () => boolean
  /** Whether every broker is heard, and none was lost lately. */
  readonly isComplete: () => boolean
  /** Whoever of a user is there has announced itself. */
  readonly endStandIn: (user: string) => Promise<unknown>
  readonly onError: (error: unknown) => void
}

/** Inputs that may wait for a store that does not answer; what comes on top the roll call makes good. */
const MAX_WAITING = 100_000

/** A roll call that is published later than this leaves too little time to answer, in milliseconds. */
const ANSWER_MS = 1000

/** How soon what has failed is tried again, in milliseconds. */
const RETRY_MS = 1000

/** How long after the store's return whoever is there has announced itself, in milliseconds. */
const ANNOUNCED_MS = 5500

/** Creates it; the store is not looked at before the start. */
export function createSharing(options: SharingOptions): Sharing {
  const { store, shared, link, topics, clock, policy, logger, isUp, onError } = options
  const window = createWindow(clock, () => mayJudge())
  const recent = createRecent(() => clock.now())
  const hearing = createHearing({
    shared,
    clock,
    async onDeaf(ms) {
      logger.warn({ ms }, 'nobody could hear; deadlines move by that time')
      await options.onDeaf(ms)
    },
    onLacking,
    onRestored() {
      wasRestored = true
    },
    onBack,
    onSteady,
    onError,
  })
  const heard = createHeard(() => clock.now())
  const lateEnds = createLateEnds({
    clock,
    isAsking: options.isAsking,
    onRelease: options.onSteady,
  })
  let wasUp = false
  let isFresh = false
  /** The roll has yet to be called, for what was not heard or not applied. */
  let isBehind = false
  let awaySince = 0
  /** The store was made good, by this bridge or another one. */
  let wasRestored = false
  let isRestorer = false
  let wasAway = false
  let missed = 0
  /** Whether the link came back with its session. */
  let resumed = false
  let isClosed = false
  const startRefresh = persist(refresh)
  const startCatchUp = persist(catchUp)

  function onSteady(): void {
    // Arrivals may have waited, and deadlines have passed meanwhile.
    lateEnds.hold(hearing.unsteadySince)
    if (!isBehind) callEnds()
    if (wasAway) options.onReturn(awaySince)
    wasAway = false
    options.onSteady()
  }

  function callEnds(): void {
    isBehind = false
    lateEnds.called()
  }

  function mayJudge(): boolean {
    return hearing.steady && !lateEnds.held
  }

  async function onLacking(): Promise<void> {
    const remains = await readRemains(link, topics)
    logger.info(
      { users: remains.users.size },
      'the store is new; it is filled from what is retained',
    )
    await reconcileStore(store, remains, clock.now(), policy)
    const arrivals = recent.list().filter(isArrival)
    const words = arrivals.map((word) => ({ ...word, document: repeat(word) }))
    await restoreWords({ store, heard, policy, until: awaySince }, words)
    isRestorer = true
  }

  function onBack(ms: number): void {
    logger.warn({ ms }, 'the store answers again')
    const since = clock.now() - ms
    awaySince = wasAway ? Math.min(awaySince, since) : since
    wasAway = true
    isBehind = true
    startRefresh()
  }

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

  /** Finds out what happened while the store was away. */
  async function refresh(): Promise<void> {
    await hearing.whenSteady()
    if (!isUp()) return
    await showDirty()
    if (isRestorer) await hearForeign()
    callRoll(missed > 0)
    missed = 0
    callEnds()
    await makeUp()
  }

  /** Makes up for what the store has lost, and nobody says again. */
  async function makeUp(): Promise<void> {
    const [has, isMine] = [wasRestored, isRestorer]
    wasRestored = false
    isRestorer = false
    if (!has) return
    const since = clock.now()
    try {
      await lateEnds.released()
      await repeatEnds()
      await correctShown({ ...options, isSteady: () => hearing.steady })
      if (isMine) await endStandIns(since)
    } catch (error) {
      wasRestored = true
      isRestorer ||= isMine
      throw error
    }
  }

  /** Those who have not announced themselves have gone, unless their broker has gone, too. */
  async function endStandIns(since: number): Promise<void> {
    await new Promise<void>((resolve) => {
      clock.after(since + ANNOUNCED_MS - clock.now(), resolve)
    })
    if (!hearing.steady || !isUp() || !options.isComplete()) return
    await inSlices(await store.usersOfBroker(null), (user) => options.endStandIn(user))
  }

  /** Hears once more who is not at a broker of ours. */
  async function hearForeign(): Promise<void> {
    // What a plain device has retained is all that is known of it now.
    const said = await link.readRetained([`${topics.root}/connections/+/+`])
    for (const message of said) await options.onMessage(message)
    // And of one that has nothing retained nobody else knows.
    for (const { document, apply } of recent.list()) {
      if (isForeign(document)) await window.admit(apply(document))
    }
  }

  /** Says again who has gone, once everybody who is there has been heard: the store may have forgotten it. */
  async function repeatEnds(): Promise<void> {
    for (const word of recent.list()) {
      if (word.document.status === 'offline') await window.admit(word.apply(word.document))
    }
  }

  /** Whether somebody came who may still be there. */
  function isArrival({ document: { status, broker } }: LastWord): boolean {
    return status !== 'offline' && (broker === undefined || options.isThere(broker))
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

  function callRoll(expectForeign: boolean): void {
    options.publishRollCall(options.beginRollCall(expectForeign))
  }

  async function catchUp(): Promise<void> {
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
    await options.sayOnline()
    if (clock.now() - since < ANSWER_MS) options.publishRollCall(call)
    else callRoll(false)
    callEnds()
    await makeUp()
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
    hearing,
    heard,
    lateEnds,
    get mayJudge() {
      return mayJudge()
    },
    get isFresh() {
      return isFresh
    },
    async start() {
      await hearing.start()
      return shared.brokers()
    },
    up(isResumed) {
      heard.restart()
      if (!isResumed) {
        isBehind = true
        isFresh = false
      }
      hearing.resume()
      resumed = isResumed
      startCatchUp()
    },
    async take(user, client, document, apply) {
      if (window.open >= MAX_WAITING) {
        missed++
        return
      }
      recent.note(user, client, document, apply)
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
      isClosed = true
      hearing.close()
      lateEnds.close()
    },
  }
}

/** Whether no broker of ours answers a roll call for the client, who is there. */
function isForeign({ broker, status }: ConnectionDocument): boolean {
  return broker === undefined && status !== 'offline'
}

/** What is said once more must not count as the newest of its client. */
function repeat({ at: lastSeen, document }: LastWord): ConnectionDocument {
  return document.broker === undefined ? document : { lastSeen, ...document }
}
