import type { ConnectionDocument } from '../../protocol/index.ts'
import type { Publisher } from '../publisher.ts'
import type { SharedStore } from '../store/store.ts'
import { createAttendance } from './attendance.ts'
import { createCatchingUp, type CatchingUpOptions } from './catching-up.ts'
import { createHeard, type Heard } from './heard.ts'
import { createHearing, type Hearing } from './hearing.ts'
import { createLateEnds, type LateEnds } from './late-ends.ts'
import { createLostStore, type LostStoreOptions } from './lost-store.ts'
import { createRecent } from './recent.ts'
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
  /** Resolves when what the store says of rooms may be shown. */
  whenTold(): Promise<void>
  /** Makes sure that the store has its data; resolves to the brokers that have to be heard, or are lost. */
  start(): Promise<readonly string[]>
  /** The link is up: publishes what was left, says that presence is fresh, calls the roll. */
  up(resumed: boolean): void
  /** Begins to apply a document unless too many wait; resolves when the next one may come. */
  take(user: string, client: string, document: ConnectionDocument, apply: Apply): Promise<void>
  /** Somebody takes this bridge for dead. */
  contradict(): void
  /** This bridge goes: says so where others stay. */
  leave(): Promise<unknown>
  /** Publishes what a bridge that died did not, and that it has gone. */
  finishAbandoned(): Promise<void>
  metrics(): Record<string, number>
  close(): void
}

type Apply = (document: ConnectionDocument) => Promise<unknown>

/** What it makes itself. */
type Parts =
  | 'sayHere'
  | 'hearing'
  | 'heard'
  | 'lateEnds'
  | 'lostStore'
  | 'recent'
  | 'window'
  | 'isSteady'

/** Options of {@link createSharing}. */
export interface SharingOptions
  extends Omit<CatchingUpOptions, Parts>, Omit<LostStoreOptions, Parts> {
  readonly id: string
  readonly shared: SharedStore
  readonly publisher: Publisher
  /** Nobody could hear for this long: moves all deadlines by it. */
  readonly onDeaf: (ms: number) => Promise<void>
  /** Deadlines may be acted upon again. */
  readonly onSteady: () => void
  /** They may, after the store was away since then: who was silent meanwhile may have been out of reach. */
  readonly onReturn: (since: number) => void
  /** Whether brokers have yet to answer the roll call. */
  readonly isAsking: () => boolean
}

/** Inputs that may wait for a store that does not answer; what comes on top the roll call makes good. */
const MAX_WAITING = 100_000

/** Creates it; the store is not looked at before the start. */
export function createSharing(options: SharingOptions): Sharing {
  const { id, shared, clock, logger, isUp, onError } = options
  const attendance = createAttendance(options)
  const window = createWindow(clock, () => mayJudge())
  const recent = createRecent(() => clock.now())
  const hearing = createHearing({
    id,
    shared,
    clock,
    async onDeaf(ms) {
      logger.warn({ ms }, 'nobody could hear; deadlines move by that time')
      await options.onDeaf(ms)
    },
    onLacking: () => lostStore.fill(awaySince),
    onRestored: () => lostStore.noteFilled(),
    onSilent(since) {
      logger.warn({}, 'the store does not answer; presence waits for it')
      catchingUp.storeIsAway(since)
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
  const isSteady = (): boolean => hearing.steady
  const lostStore = createLostStore({ ...options, heard, recent, window, lateEnds, isSteady })
  const catchingUp = createCatchingUp({
    ...options,
    hearing,
    lateEnds,
    lostStore,
    sayHere: () => attendance.sayHere(),
  })
  /** Since when the store was away, until that is over. */
  let awaySince = 0
  let wasAway = false
  let isClosed = false

  function onBack(ms: number): void {
    logger.warn({ ms }, 'the store answers again')
    const since = clock.now() - ms
    awaySince = wasAway ? Math.min(awaySince, since) : since
    wasAway = true
    catchingUp.storeIsBack()
  }

  function onSteady(): void {
    catchingUp.steady()
    if (wasAway) options.onReturn(awaySince)
    wasAway = false
    options.onSteady()
  }

  function mayJudge(): boolean {
    return hearing.steady && !lateEnds.held
  }

  return {
    hearing,
    heard,
    lateEnds,
    get mayJudge() {
      return mayJudge()
    },
    get isFresh() {
      return catchingUp.isFresh
    },
    async whenTold() {
      do {
        await hearing.whenSteady()
        await lostStore.whenHeard()
      } while (!hearing.steady && !isClosed)
    },
    async start() {
      await hearing.start()
      return shared.brokers()
    },
    up(resumed) {
      heard.restart()
      catchingUp.up(resumed)
    },
    async take(user, client, document, apply) {
      if (window.open >= MAX_WAITING) return catchingUp.miss()
      recent.note(user, client, document, apply)
      await window.admit(apply(document))
    },
    contradict() {
      attendance.sayHere().catch(onError)
    },
    leave: () => attendance.sayGone(),
    async finishAbandoned() {
      if (!isUp() || !hearing.steady) return
      const { users, rooms } = await shared.takeAbandoned()
      for (const user of users) options.publishUser(user).catch(onError)
      for (const room of rooms) options.notifyRoom(room)
      await attendance.look()
    },
    metrics: () => ({
      storeReady: hearing.steady ? 1 : 0,
      otherBridges: hearing.others,
      waitingInputs: window.open,
    }),
    close() {
      isClosed = true
      catchingUp.close()
      hearing.close()
      lateEnds.close()
    },
  }
}
