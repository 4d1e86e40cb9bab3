import type { Topics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Link } from './link/link.ts'
import type { Scope } from './options.ts'
import { createRoster, type Answers, type Roster } from './roster.ts'
import type { Store } from './store/store.ts'
import type { Users } from './users.ts'

/** Asks brokers for their live connections, and ends the connections of those that do not answer. */
export interface RollCall {
  readonly roster: Roster
  /** From here on every announcement is an answer, what was retained for the bridge included. */
  begin(expectForeign: boolean): string
  publish(call: string): void
  /** Begins and publishes one, in which our brokers alone have to answer. */
  call(): void
  /** Looks for brokers that have fallen silent, while they can be heard. */
  look(): void
  /** Calls the roll of the bridge's own broker if another bridge has taken that for lost. */
  answerLoss(): Promise<void>
}

/** Options of {@link createRollCall}. */
export interface RollCallOptions {
  /** The bridge. */
  readonly id: string
  readonly link: Link
  readonly topics: Topics
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly scope: Scope | undefined
  readonly users: Users
  readonly onError: (error: unknown) => void
}

/** How late at most one notices that other brokers cannot be heard, in milliseconds. */
const NOTICED_MS = 3000

const NOBODY: ReadonlySet<string> = new Set()

/** Creates it; nobody has been asked. */
export function createRollCall(options: RollCallOptions): RollCall {
  const { id, link, topics, store, clock, logger, scope, users, onError } = options
  const roster = createRoster({
    clock,
    only: scope?.broker,
    onUnknown(broker) {
      logger.info({ bridge: id, broker }, 'broker is up')
      call()
    },
    onCensus: (broker, answers) => void takeCensus(broker, answers).catch(onError),
    onLost: (broker) => void endAll(broker).catch(onError),
  })
  let calls = 0
  let hearsOthers = true
  let heardOthersAt = clock.now()

  function begin(expectForeign: boolean): string {
    const name = `${id}-${++calls}`
    roster.callRoll(name, expectForeign)
    return name
  }

  function publish(name: string): void {
    link
      .publish(topics.rollcall, JSON.stringify({ rollcall: name }), { retain: false })
      .catch((error: unknown) => logger.debug({ error: String(error) }, 'roll not called'))
  }

  function call(): void {
    publish(begin(false))
  }

  async function takeCensus(broker: string | null, answers: Answers): Promise<void> {
    const known = await store.usersOfBroker(broker)
    const ask = (user: string): Promise<unknown> =>
      users.apply(user, { type: 'census', broker, alive: answers(user) })
    await Promise.all(known.map(ask))
  }

  async function endAll(broker: string): Promise<void> {
    logger.info({ bridge: id, broker }, 'broker is lost')
    await takeCensus(broker, () => NOBODY)
    // Afterwards, so that what it announces again, should it live, is not ended once more.
    await store.shared?.markLost(broker)
  }

  return {
    roster,
    begin,
    publish,
    call,
    look() {
      const couldHear = hearsOthers
      hearsOthers = scope?.hearsOthers?.() ?? true
      if (!hearsOthers) return
      if (!couldHear) {
        roster.wasDeaf(heardOthersAt - NOTICED_MS)
        call()
      }
      heardOthersAt = clock.now()
      roster.tick()
    },
    async answerLoss() {
      if (scope && (await store.shared?.takeLost(scope.broker))) call()
    },
  }
}
