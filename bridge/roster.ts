import type { BrokerHeartbeat } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'

/** How long a broker may be silent before its connections are lost, in milliseconds. */
const LOST_AFTER_MS = 9000

/** How long clients of a foreign broker have to answer a roll call, in milliseconds. */
const ANSWER_WITHIN_MS = 5000

/** The brokers that are heard, and the roll that is being called. */
export interface Roster {
  /** Calls the roll. With `expectForeign`, connections of no broker of ours have to answer too. */
  callRoll(id: string, expectForeign: boolean): void
  /** A connection announced itself, or its broker did. */
  announced(broker: string | null, user: string, connectionKey: string): void
  heartbeat(beat: BrokerHeartbeat): void
  /** A broker is known by its connections, and has to be heard from now on. */
  expect(broker: string): void
  /** Looks for brokers that have fallen silent and for roll calls that are over. */
  tick(): void
  /** The observer was deaf: nobody was silent meanwhile. */
  shift(ms: number): void
  /** The link was down: every broker gets its full time again. */
  restart(): void
  readonly brokers: number
}

/** Options of {@link createRoster}. */
export interface RosterOptions {
  readonly clock: Clock
  /** A broker is new, or was lost and is back: its connections have to be announced. */
  readonly onUnknown: (broker: string) => void
  /** Those are the live connections of a broker (null: of none of ours); every other one is lost. */
  readonly onCensus: (broker: string | null, answers: Answers) => void
}

/** The keys of the connections that answered a roll call, by user. */
export type Answers = ReadonlyMap<string, ReadonlySet<string>>

/** When a roll call that nobody answers is given up, and a lost broker forgotten, in milliseconds. */
const FORGET_AFTER_MS = 60_000

interface Known {
  heardAt: number
  status: 'up' | 'lost'
}

/** A roll call: who has answered, by broker, and for whom it is over. */
interface Call {
  readonly id: string
  readonly answers: Map<string | null, Map<string, Set<string>>>
  readonly concluded: Set<string | null>
  foreignUntil: number | undefined
  forgetAt: number
}

/** Creates a roster. */
export function createRoster({ clock, onUnknown, onCensus }: RosterOptions): Roster {
  const brokers = new Map<string, Known>()
  let call: Call | undefined

  /** Ends the call for one broker: what it has not announced by now is lost. */
  function conclude(current: Call, broker: string | null): void {
    const answers = current.answers.get(broker) ?? new Map()
    current.answers.delete(broker)
    current.concluded.add(broker)
    onCensus(broker, answers)
  }

  return {
    callRoll(id, expectForeign) {
      // A call that replaces one must still wait for whom that one was waiting.
      const foreign = expectForeign || call?.foreignUntil !== undefined
      call = {
        id,
        answers: new Map(),
        concluded: new Set(foreign ? [] : [null]),
        foreignUntil: foreign ? clock.now() + ANSWER_WITHIN_MS : undefined,
        forgetAt: clock.now() + FORGET_AFTER_MS,
      }
    },
    announced(broker, user, connectionKey) {
      if (!call || call.concluded.has(broker)) return
      const users = nested(call.answers, broker)
      const keys = users.get(user)
      if (keys) keys.add(connectionKey)
      else users.set(user, new Set([connectionKey]))
    },
    heartbeat({ broker, status, rollcall }) {
      const known = brokers.get(broker)
      const answers = call !== undefined && rollcall === call.id
      if (known?.status !== 'up' && status === 'up' && !answers) onUnknown(broker)
      brokers.set(broker, { heardAt: clock.now(), status: 'up' })
      if (call && answers) conclude(call, broker)
    },
    expect(broker) {
      if (!brokers.has(broker)) brokers.set(broker, { heardAt: clock.now(), status: 'up' })
    },
    tick() {
      const now = clock.now()
      for (const [broker, known] of brokers) {
        if (known.status === 'lost' || now - known.heardAt <= LOST_AFTER_MS) continue
        known.status = 'lost'
        onCensus(broker, new Map())
      }
      if (call?.foreignUntil !== undefined && now >= call.foreignUntil) {
        call.foreignUntil = undefined
        conclude(call, null)
      }
      if (call && now >= call.forgetAt) call = undefined
      forgetLost(brokers, now)
    },
    shift(ms) {
      for (const known of brokers.values()) known.heardAt += ms
      if (!call) return
      call.forgetAt += ms
      if (call.foreignUntil !== undefined) call.foreignUntil += ms
    },
    restart() {
      for (const known of brokers.values()) known.heardAt = clock.now()
    },
    get brokers() {
      return [...brokers.values()].filter(({ status }) => status === 'up').length
    },
  }
}

function nested<K, V>(maps: Map<K, Map<string, V>>, key: K): Map<string, V> {
  let map = maps.get(key)
  if (!map) maps.set(key, (map = new Map()))
  return map
}

function forgetLost(brokers: Map<string, Known>, now: number): void {
  for (const [broker, { status, heardAt }] of brokers) {
    if (status === 'lost' && now - heardAt > FORGET_AFTER_MS) brokers.delete(broker)
  }
}
