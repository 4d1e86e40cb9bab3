import type { Clock } from '../runtime/clock.ts'
import {
  createUserState,
  nextDeadline,
  step,
  type Effect,
  type Input,
  type Policy,
  type UserState,
} from './core/index.ts'
import type { Publisher } from './publisher.ts'
import type { RoomSave, Store } from './store/store.ts'

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
  /** A user has a new deadline. */
  readonly onDeadline: (at: number) => void
  /** A room has changed. */
  readonly onRoom: (room: string) => void
  /** What happened, for counters and logs. */
  readonly onEffect: (user: string, effect: Effect) => void
  /** A dependency failed after the outcome was stored. */
  readonly onError: (error: unknown) => void
}

/** How soon an offline user is forgotten again when its topics could not be cleared, in milliseconds. */
const RETRY_MS = 60_000

/** How often a step is tried again when other bridges are faster, before it is given up as broken. */
const MAX_ATTEMPTS = 100

/** Creates the processor. */
export function createUsers(options: UsersOptions): Users {
  const { store, publisher, clock, policy, journal, onError } = options
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

  async function transact(user: string, input: Input): Promise<readonly Effect[]> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const stored = await store.loadUser(user)
      const before = stored?.state ?? createUserState(user)
      const [after, effects] = step(before, input, clock.now(), policy)
      if (effects.some(({ type }) => type === 'forget')) {
        if (stored && !(await store.removeUser(user, stored.revision))) continue
        clear(before).catch(onError)
        return effects
      }
      if (after === before) return effects
      const rooms = effects.flatMap(toRoomSave)
      const revision = await store.saveUser({
        state: after,
        expected: stored?.revision ?? 0,
        deadline: nextDeadline(after),
        dirty: effects.some(({ type }) => type === 'user'),
        rooms,
      })
      if (revision === undefined) continue
      announce(before, after, revision, effects)
      return effects
    }
    throw new Error(`gave up storing ${JSON.stringify(user)} after ${MAX_ATTEMPTS} conflicts`)
  }

  function announce(
    before: UserState,
    after: UserState,
    revision: number,
    effects: readonly Effect[],
  ): void {
    const deadline = nextDeadline(after)
    if (deadline !== null) options.onDeadline(deadline)
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
      await store.clearUser(user, revision)
    } else {
      unsure.add(user)
    }
  }

  async function clear(state: UserState): Promise<void> {
    const { user } = state
    if (await publisher.clearUser(state)) return
    const deadline = clock.now() + RETRY_MS
    await inTurn(user, () =>
      store.saveUser({ state, expected: 0, deadline, dirty: false, rooms: [] }),
    )
    options.onDeadline(deadline)
  }

  return {
    async apply(user, input) {
      const effects = await inTurn(user, () => transact(user, input))
      for (const effect of effects) options.onEffect(user, effect)
      return effects
    },
    publish: (user) =>
      inTurn(user, async () => {
        const stored = await store.loadUser(user)
        if (!stored) return
        if (journal) publisher.writeJournal(stored.state, clock.now()).catch(onError)
        confirm(stored.state, stored.revision).catch(onError)
      }),
  }
}

function toRoomSave(effect: Effect): RoomSave[] {
  if (effect.type === 'member') return [{ room: effect.room, member: effect.member, leave: null }]
  if (effect.type === 'leave') return [{ room: effect.room, member: null, leave: effect.leave }]
  return []
}
