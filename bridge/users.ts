import type { Clock } from '../runtime/clock.ts'
import { activityOf } from './activity/activity.ts'
import {
  createUserState,
  nextDeadline,
  step,
  type Effect,
  type Input,
  type Policy,
  type UserState,
} from './core/index.ts'
import { BEHIND_MS } from './sharing/counting.ts'
import { closeBefore, printOf, type Heard } from './sharing/heard.ts'
import type { Hearing } from './sharing/hearing.ts'
import { stayInRooms, type LateEnds } from './sharing/late-ends.ts'
import type { Publisher } from './publisher.ts'
import type { RoomSave, Store, StoredUser } from './store/store.ts'

/** Applies inputs to users: one at a time for each user, stored before they are shown. */
export interface Users {
  /** Resolves when the outcome is stored and on its way to the readers. */
  apply(user: string, input: Input): Promise<readonly Effect[]>
  /** Publishes a user's topics again as they are stored, for those that were never confirmed; resolves before they are. */
  publish(user: string): Promise<void>
}

/** Options of {@link createUsers}. */
export interface UsersOptions {
  readonly store: Store
  readonly publisher: Publisher
  readonly clock: Clock
  readonly policy: Policy
  readonly journal: boolean
  /** Where bridges share a store: whether one may act, and what others have applied already. */
  readonly sharing?:
    | { readonly hearing: Hearing; readonly heard: Heard; readonly lateEnds: LateEnds }
    | undefined
  /** What the deadline of a user is now, if it has one. */
  readonly onDeadline: (user: string, at: number | null) => void
  /** A room has changed. */
  readonly onRoom: (room: string) => void
  /** What happened, for counters and logs. */
  readonly onEffect: (user: string, effect: Effect) => void
  /** A dependency failed after the outcome was stored. */
  readonly onError: (error: unknown) => void
}

/** How soon an offline user is forgotten again when that was not finished, in milliseconds. */
const RETRY_MS = 60_000

/** What is applied later than this is told as what it is: late. In milliseconds. */
const LATE_MS = 1000

/** How often a step is tried again when other bridges are faster, before it is given up as broken. */
const MAX_ATTEMPTS = 100

/** What became of an input. */
interface Outcome {
  readonly effects: readonly Effect[]
  /** It ends something, and that has to wait without keeping others waiting. */
  readonly isHeld: boolean
}

const WAITS: Outcome = { effects: [], isHeld: true }
const NOTHING: Outcome = { effects: [], isHeld: false }

/** Creates the processor. */
export function createUsers(options: UsersOptions): Users {
  const { store, publisher, clock, policy, journal, sharing, onError } = options
  const tails = new Map<string, Promise<unknown>>()
  /** Users of whom something was not published: what readers have of them is unknown. */
  const unsure = new Set<string>()

  /** Runs after everything that was asked for this user before, whether that went well or not. */
  function inTurn<T>(user: string, run: () => Promise<T>): Promise<T> {
    const before = tails.get(user)
    const result = before ? before.then(run, run) : run()
    tails.set(user, result)
    const end = (): void => {
      if (tails.get(user) === result) tails.delete(user)
    }
    result.then(end, end)
    return result
  }

  /** Loads a user when something may be concluded from it: while deadlines move only that goes on. */
  async function load(user: string, input: Input): Promise<StoredUser | undefined> {
    for (;;) {
      const waits = sharing && input.type !== 'shift'
      if (waits && !sharing.hearing.steady) await sharing.hearing.whenSteady()
      const stored = await store.loadUser(user)
      if (!waits || sharing.hearing.steady) return stored
    }
  }

  /** @param since when it came, in milliseconds since the epoch */
  async function transact(user: string, input: Input, since: number): Promise<Outcome> {
    const print =
      sharing && input.type === 'document' ? printOf(input.client, input.document) : undefined
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const stored = await load(user, input)
      const now = clock.now()
      const before = stored?.state ?? createUserState(user)
      const isHeld = sharing?.lateEnds.holds(input, before.connections) ?? false
      const told = isHeld ? withoutEnds(input, before) : sharing ? asLate(input, since, now) : input
      if (!told) return WAITS
      const countUntil = sharing?.lateEnds.countUntil ?? now
      const judged = print ? sharing?.heard.judge(user, print, stored) : stored?.heard
      if (print && !judged) return NOTHING
      const heard =
        print && isHeld ? judged?.map((entry) => closeBefore(entry, print, false)) : judged
      const counted = told.type === 'document' ? { ...told, countUntil } : told
      const [after, effects] = step(before, counted, now, policy)
      if (effects.some(({ type }) => type === 'forget')) {
        if (stored && !(await forget(stored))) continue
        return { effects, isHeld }
      }
      // What changed nothing is noted all the same, or another bridge would take a later document for it.
      if (after === before && !print) return { effects, isHeld }
      // A stranger whose words changed nothing is remembered for as long as another bridge may be behind.
      const state = stored || after !== before ? after : { ...after, forgetAt: now + BEHIND_MS }
      const rooms = effects.flatMap(toRoomSave)
      const revision = await store.saveUser({
        state,
        expected: stored?.revision ?? 0,
        deadline: nextDeadline(state),
        dirty: effects.some(({ type }) => type === 'user'),
        rooms,
        activity: activityOf(user, effects, now),
        ...(heard && { heard }),
      })
      if (revision === undefined) continue
      if (print && heard) sharing?.heard.applied(user, print, heard)
      announce(before, state, revision, effects)
      return { effects, isHeld }
    }
    throw new Error(`gave up storing ${JSON.stringify(user)} after ${MAX_ATTEMPTS} conflicts`)
  }

  function announce(
    before: UserState,
    after: UserState,
    revision: number,
    effects: readonly Effect[],
  ): void {
    options.onDeadline(after.user, nextDeadline(after))
    // The journal goes first: what readers saw must not be forgotten by a bridge that dies now.
    if (journal) publisher.writeJournal(after, clock.now()).catch(onError)
    if (effects.some(({ type }) => type === 'user')) {
      confirm(after, revision, before).catch(onError)
    }
    for (const effect of effects) {
      if (effect.type === 'member' || effect.type === 'leave') options.onRoom(effect.room)
    }
  }

  // Nobody's turn lasts until a broker acknowledges: over a socket the acknowledgement may have to
  // wait for a message that is waiting for its turn.

  async function confirm(state: UserState, revision: number, before?: UserState): Promise<void> {
    const { user } = state
    const shown = unsure.has(user) ? undefined : before
    if (await publisher.publishUser(state, shown)) {
      if (!shown) unsure.delete(user)
      if (!(await store.clearUser(user, revision))) await publish(user)
    } else {
      unsure.add(user)
    }
  }

  function publish(user: string): Promise<void> {
    return inTurn(user, async () => {
      const stored = await store.loadUser(user)
      if (!stored) return sharing && void (await store.clearUser(user, 0))
      if (journal) publisher.writeJournal(stored.state, clock.now()).catch(onError)
      // Only ended connections are known of a stranger, who has never been shown to anybody.
      if (stored.state.version === 0) await store.clearUser(user, stored.revision)
      else confirm(stored.state, stored.revision).catch(onError)
    })
  }

  /**
   * Begins to forget an offline user; false when another bridge was faster. The topics are cleared before
   * the state goes, so that a bridge that dies in between leaves a user that is to be forgotten once more.
   */
  async function forget({ state, revision, heard }: StoredUser): Promise<boolean> {
    // Of who was never shown nothing is retained.
    if (state.version === 0 && !journal) return store.removeUser(state.user, revision)
    const deadline = clock.now() + RETRY_MS
    const marked = { ...state, forgetAt: deadline }
    const mark = { state: marked, expected: revision, deadline, dirty: false, rooms: [] }
    const next = await store.saveUser({ ...mark, ...(heard && { heard }) })
    if (next === undefined) return false
    options.onDeadline(state.user, deadline)
    clear(marked, next).catch(onError)
    return true
  }

  async function clear(state: UserState, revision: number): Promise<void> {
    const { user, version } = state
    if (!(await publisher.clearUser(state))) return
    const stored = await inTurn(user, async () =>
      (await store.removeUser(user, revision)) ? undefined : store.loadUser(user),
    )
    // It was shown again meanwhile, maybe before its topics were cleared.
    if (stored && stored.state.version !== version) await publish(user)
  }

  return {
    async apply(user, input) {
      const since = clock.now()
      // Whatever else has its turn may be waiting for the deadlines to be moved.
      const passes = sharing && input.type === 'shift'
      for (;;) {
        const run = (): Promise<Outcome> => transact(user, input, since)
        const { effects, isHeld } = await (passes ? run() : inTurn(user, run))
        for (const effect of effects) options.onEffect(user, effect)
        if (!isHeld) return effects
        await sharing?.lateEnds.released()
      }
    },
    publish,
  }
}

/**
 * What has waited for long is no news: another bridge may have applied what its client has said since over a later
 * connection, at a broker whose stamps tell nothing of these. It is said again, as of when it came.
 */
function asLate(input: Input, since: number, now: number): Input {
  if (input.type !== 'document' || now - since < LATE_MS) return input
  const { document } = input
  if (document.broker === undefined || document.status === 'offline') return input
  return { ...input, document: { lastSeen: since, ...document } }
}

/** What of an input need not wait; undefined when all of it has to. */
function withoutEnds(input: Input, { connections }: UserState): Input | undefined {
  if (input.type !== 'document' || input.document.status === 'offline') return undefined
  return { ...input, document: stayInRooms(input, connections) }
}

function toRoomSave(effect: Effect): RoomSave[] {
  if (effect.type === 'member') return [{ room: effect.room, member: effect.member, leave: null }]
  if (effect.type === 'leave') return [{ room: effect.room, member: null, leave: effect.leave }]
  return []
}
