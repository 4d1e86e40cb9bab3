import type { ConnectionDocument, Topics } from '../../protocol/index.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { Policy } from '../core/index.ts'
import type { Link, LinkMessage } from '../link/link.ts'
import { readRemains } from '../remains.ts'
import { inSlices } from '../slices.ts'
import type { Store } from '../store/store.ts'
import { correctShown } from './correct-shown.ts'
import type { Heard } from './heard.ts'
import type { LateEnds } from './late-ends.ts'
import type { LastWord, Recent } from './recent.ts'
import { reconcileStore } from './reconcile.ts'
import { restoreWords } from './restore-words.ts'
import type { Window } from './window.ts'

/** Makes up for a store that has lost its data. */
export interface LostStore {
  /**
   * Fills it with what is retained, and with what was heard lately.
   *
   * @param until when it was lost, in milliseconds since the epoch
   */
  fill(until: number): Promise<void>
  /** It was filled, by this bridge or another one. */
  noteFilled(): void
  /**
   * Resolves when whoever is there has been heard again since it was filled: until then rooms may lack who came last,
   * whom readers have been shown.
   */
  whenHeard(): Promise<void>
  /** Before the roll is called: hears who does not answer it, if this bridge has filled the store. */
  hearForeign(): Promise<void>
  /** After it: says again what the store has lost and nobody else says. Tried again when it fails. */
  makeUp(): Promise<void>
}

/** Options of {@link createLostStore}. */
export interface LostStoreOptions {
  readonly store: Store
  readonly link: Link
  readonly topics: Topics
  readonly clock: Clock
  readonly policy: Policy
  readonly logger: Logger
  readonly heard: Heard
  readonly recent: Recent
  readonly window: Window
  readonly lateEnds: LateEnds
  /** Whether the store answers and has its data. */
  readonly isSteady: () => boolean
  readonly isUp: () => boolean
  readonly publishUser: (user: string) => Promise<void>
  readonly notifyRoom: (room: string) => void
  readonly onMessage: (message: LinkMessage) => Promise<void>
  /** Whether a broker is there, as far as anybody knows. */
  readonly isThere: (broker: string) => boolean
  /** Whether every broker is heard, and none was lost lately. */
  readonly isComplete: () => boolean
  /** Whoever of a user is there has announced itself. */
  readonly endStandIn: (user: string) => Promise<unknown>
}

/** How long after the store's return whoever is there has announced itself, in milliseconds. */
const ANNOUNCED_MS = 5500

/** Creates it; nothing is lost yet. */
export function createLostStore(options: LostStoreOptions): LostStore {
  const { store, link, topics, clock, policy, logger, heard, recent, window, isSteady } = options
  let wasFilled = false
  /** Whether it was this bridge. */
  let isMine = false
  let isHeard = true
  /** How often it was lost. */
  let losses = 0
  let waiters: (() => void)[] = []

  function heardAll(): void {
    isHeard = true
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }

  /** Whether somebody came who may still be there. */
  function isArrival({ document: { status, broker } }: LastWord): boolean {
    return status !== 'offline' && (broker === undefined || options.isThere(broker))
  }

  /** Says again who has gone, once everybody who is there has been heard: the store may have forgotten it. */
  async function repeatEnds(): Promise<void> {
    for (const word of recent.list()) {
      if (word.document.status === 'offline') await window.admit(word.apply(word.document))
    }
  }

  /** Those who have not announced themselves have gone, unless their broker has gone, too. */
  async function endStandIns(since: number): Promise<void> {
    const loss = losses
    await new Promise<void>((resolve) => {
      clock.after(since + ANNOUNCED_MS - clock.now(), resolve)
    })
    // When it was lost once more they stand in anew.
    if (loss !== losses || !isSteady() || !options.isUp() || !options.isComplete()) return
    await inSlices(await store.usersOfBroker(null), (user) => options.endStandIn(user))
  }

  return {
    async fill(until) {
      losses++
      const remains = await readRemains(link, topics)
      logger.info(
        { users: remains.users.size },
        'the store is new; it is filled from what is retained',
      )
      await reconcileStore(store, remains, clock.now(), policy)
      const arrivals = recent.list().filter(isArrival)
      const words = arrivals.map((word) => ({ ...word, document: repeat(word) }))
      await restoreWords({ store, heard, policy, until }, words)
      isMine = true
    },
    noteFilled() {
      wasFilled = true
      isHeard = false
      losses++
    },
    async whenHeard() {
      if (!isHeard) await new Promise<void>((resolve) => void waiters.push(resolve))
    },
    async hearForeign() {
      if (!isMine) return
      // What a plain device has retained is all that is known of it now.
      const said = await link.readRetained([`${topics.root}/connections/+/+`])
      for (const message of said) await options.onMessage(message)
      // And of one that has nothing retained nobody else knows.
      for (const { document, apply } of recent.list()) {
        if (isForeign(document)) await window.admit(apply(document))
      }
    },
    async makeUp() {
      const [filled, mine] = [wasFilled, isMine]
      wasFilled = false
      isMine = false
      if (!filled) return
      const since = clock.now()
      try {
        await options.lateEnds.released()
        heardAll()
        await repeatEnds()
        await correctShown(options)
        if (mine) await endStandIns(since)
      } catch (error) {
        wasFilled = true
        isMine ||= mine
        throw error
      }
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
