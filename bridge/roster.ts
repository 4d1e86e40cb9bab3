import type { BrokerHeartbeat } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'

/** How long a broker may be silent before its connections are lost, in milliseconds. */
const LOST_AFTER_MS = 9000

/** How long a broker that is heard again may need to tell what it has to say, in milliseconds. */
const TELL_MS = 1500

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
  /** Since then heartbeats may not have come through, until now: that much of nobody's silence counts. */
  wasDeaf(since: number): void
  /** The link was down: every broker, and who has to answer, gets the full time again. */
  restart(): void
  /**
   * The brokers that are silent for longer than they should be, and not yet lost, or have just been: what happened
   * there meanwhile is not known. One that says goodbye is none of them.
   */
  unsure(): ReadonlySet<string>
  /** Those that beat. */
  beating(): Iterable<string>
  /** Whether a broker is there, as far as anybody knows. */
  isThere(broker: string): boolean
  /** Whether every broker is heard, and none was lost lately. */
  readonly isComplete: boolean
  /** Whether the roll is called and a broker that is heard has yet to answer, or none is heard yet. */
  readonly isAsking: boolean
  readonly brokers: number
}

/** Options of {@link createRoster}. */
export interface RosterOptions {
  readonly clock: Clock
  /** The one broker that is asked and whose documents are heard; of all others only heartbeats are. @default none: all are */
  readonly only?: string | undefined
  /** A broker is new, or was lost and is back: its connections have to be announced. */
  readonly onUnknown: (broker: string) => void
  /** Those are the live connections of a broker (null: of none of ours); every other one is lost. */
  readonly onCensus: (broker: string | null, answers: Answers) => void
  /** A broker has fallen silent: every connection of it is lost. */
  readonly onLost: (broker: string) => void
}

/**
 * The keys of a user's connections that have answered a roll call. The set goes on growing with what
 * is announced: a connection that is new while a census is taken is not lost.
 */
export type Answers = (user: string) => ReadonlySet<string>

/** When a roll call that nobody answers is given up, and a lost broker forgotten, in milliseconds. */
const FORGET_AFTER_MS = 60_000

interface Known {
  heardAt: number
  /** `announced`: it is known by its connections, but has not beaten yet. */
  status: 'announced' | 'up' | 'lost'
  /** How often it beats, in milliseconds; 0 when it does no more, or has not yet. */
  intervalMs: number
  /** Until when what it has to say of a silence may be on its way. */
  unsureUntil: number
}

/** A roll call: who has answered, by broker, and for whom it is over. */
interface Call {
  readonly id: string
  readonly answers: Map<string | null, Map<string, Set<string>>>
  /** Brokers that were heard since, and whether they have answered. */
  readonly heard: Map<string, boolean>
  foreignUntil: number | undefined
  forgetAt: number
}

/** Creates a roster. */
export function createRoster(options: RosterOptions): Roster {
  const { clock, only, onUnknown, onCensus, onLost } = options
  const brokers = new Map<string, Known>()
  let call: Call | undefined
  /** What was before counts as deaf already. */
  let deafUntil = -Infinity

  function isOurs(broker: string): boolean {
    return only === undefined || broker === only
  }

  /** Ends the call for one broker: what it has not announced by now is lost. */
  function conclude({ answers }: Call, broker: string | null): void {
    onCensus(broker, (user) => keysOf(answers, broker, user))
  }

  function shift(ms: number): void {
    const now = clock.now()
    for (const known of brokers.values()) known.heardAt = Math.min(now, known.heardAt + ms)
    if (!call) return
    call.forgetAt += ms
    if (call.foreignUntil !== undefined) call.foreignUntil += ms
  }

  return {
    callRoll(id, mayExpectForeign) {
      const expectForeign = mayExpectForeign && only === undefined
      // A call that replaces one must still wait for whom that one was waiting. Unless it starts from
      // nothing, what was answered counts still: what a plain device retained was delivered once.
      const isPending = call?.foreignUntil !== undefined
      const answered = isPending && !expectForeign ? call?.answers.get(null) : undefined
      call = {
        id,
        answers: new Map(answered && [[null, answered]]),
        heard: new Map(),
        foreignUntil: expectForeign || isPending ? clock.now() + ANSWER_WITHIN_MS : undefined,
        forgetAt: clock.now() + FORGET_AFTER_MS,
      }
    },
    announced(broker, user, connectionKey) {
      // A broker that dies before its first beat has to be noticed too.
      if (broker !== null && (brokers.get(broker)?.status ?? 'lost') === 'lost') {
        brokers.set(broker, {
          heardAt: clock.now(),
          status: 'announced',
          intervalMs: 0,
          unsureUntil: 0,
        })
      }
      if (!call) return
      keysOf(call.answers, broker, user).add(connectionKey)
      if (broker !== null) call.heard.set(broker, call.heard.get(broker) ?? false)
    },
    heartbeat({ broker, status, rollcall, intervalMs }) {
      const known = brokers.get(broker)
      const isAsked = isOurs(broker)
      const answers = isAsked && call !== undefined && rollcall === call.id
      if (isAsked && known?.status !== 'up' && status === 'up' && !answers) onUnknown(broker)
      const now = clock.now()
      const unsureUntil = isSilent(known, now) ? now + TELL_MS : (known?.unsureUntil ?? 0)
      const beatsOn = status === 'up' ? intervalMs : 0
      brokers.set(broker, { heardAt: now, status: 'up', intervalMs: beatsOn, unsureUntil })
      if (call && isAsked) call.heard.set(broker, answers || (call.heard.get(broker) ?? false))
      if (call && answers) conclude(call, broker)
    },
    expect(broker) {
      if (brokers.has(broker)) return
      const unknown = { intervalMs: 0, unsureUntil: 0 }
      brokers.set(broker, { heardAt: clock.now(), status: 'up', ...unknown })
    },
    tick() {
      const now = clock.now()
      for (const [broker, known] of brokers) {
        if (known.status === 'lost' || now - known.heardAt <= LOST_AFTER_MS) continue
        known.status = 'lost'
        onLost(broker)
      }
      if (call?.foreignUntil !== undefined && now >= call.foreignUntil) {
        call.foreignUntil = undefined
        conclude(call, null)
      }
      if (call && now >= call.forgetAt) call = undefined
      forgetLost(brokers, now)
    },
    shift,
    wasDeaf(since) {
      const now = clock.now()
      shift(now - Math.max(since, deafUntil) + TELL_MS)
      deafUntil = now
    },
    restart() {
      const now = clock.now()
      for (const known of brokers.values()) known.heardAt = now
      if (call?.foreignUntil !== undefined) call.foreignUntil = now + ANSWER_WITHIN_MS
      if (call) call.forgetAt = now + FORGET_AFTER_MS
    },
    unsure() {
      const now = clock.now()
      const unsure = new Set<string>()
      for (const [broker, known] of brokers) {
        if (isSilent(known, now) || now < known.unsureUntil) unsure.add(broker)
      }
      return unsure
    },
    *beating() {
      for (const [broker, { status, intervalMs }] of brokers) {
        if (status === 'up' && intervalMs > 0) yield broker
      }
    },
    isThere: (broker) => (brokers.get(broker)?.status ?? 'lost') !== 'lost',
    get isComplete() {
      const now = clock.now()
      const isHeard = (known: Known): boolean => known.status === 'up' && !isSilent(known, now)
      return [...brokers.values()].every(isHeard)
    },
    get isAsking() {
      if (!call) return false
      if (call.heard.size > 0) return [...call.heard.values()].includes(false)
      return Array.from(brokers).some(([id, { status }]) => isOurs(id) && status !== 'lost')
    },
    get brokers() {
      return [...brokers.values()].filter(({ status }) => status === 'up').length
    },
  }
}

/** Whether a second heartbeat is overdue. */
function isSilent(known: Known | undefined, now: number): boolean {
  if (!known || known.status === 'lost' || known.intervalMs === 0) return false
  return now - known.heardAt > 2 * known.intervalMs
}

function keysOf(answers: Call['answers'], broker: string | null, user: string): Set<string> {
  let users = answers.get(broker)
  if (!users) answers.set(broker, (users = new Map<string, Set<string>>()))
  let keys = users.get(user)
  if (!keys) users.set(user, (keys = new Set()))
  return keys
}

function forgetLost(brokers: Map<string, Known>, now: number): void {
  for (const [broker, { status, heardAt }] of brokers) {
    if (status === 'lost' && now - heardAt > FORGET_AFTER_MS) brokers.delete(broker)
  }
}
