import { createTopics } from '../protocol/index.ts'
import type { Cancel } from '../runtime/clock.ts'
import { createLimitedWarning } from '../runtime/log-limit.ts'
import { watchStalls } from '../runtime/stall-watch.ts'
import { readOnlineTime, readRoomAt, type OnlineTime, type RoomAt } from './activity/questions.ts'
import { createCatchUp } from './catch-up.ts'
import type { Effect } from './core/index.ts'
import { createDeadlines } from './deadlines.ts'
import { createExpiry } from './expiry.ts'
import { createMetrics } from './metrics.ts'
import { resolveOptions, type BridgeOptions } from './options.ts'
import { createPublisher } from './publisher.ts'
import { createReception } from './reception.ts'
import { createRollCall } from './roll-call.ts'
import { createRoomFlusher } from './rooms/room-flusher.ts'
import { createMemoryStore } from './store/memory-store.ts'
import { createSharing } from './sharing/sharing.ts'
import { createUpkeep } from './upkeep.ts'
import { createUsers } from './users.ts'
import { createWitness } from './witness.ts'

/** A running bridge. */
export interface Bridge {
  readonly id: string
  /** Whether presence is fresh: the link is up and the bridge has not been closed. */
  readonly ready: boolean
  /** Counters and gauges by name. */
  metrics(): Record<string, number>
  /** How long a user was online from one time to another, in milliseconds since the epoch. */
  onlineTime(user: string, from: number, to: number): Promise<OnlineTime>
  /** Who was in a room at a time, in milliseconds since the epoch. */
  roomAt(room: string, at: number): Promise<RoomAt>
  /** Publishes what is waiting, says that presence is no longer fresh, and closes the link. Idempotent. */
  close(): Promise<void>
}

/** Deadlines nearer than this are graces; further ones are the forgetting of offline users. */
const HORIZON_MS = 2 * 86_400_000

/** How often to look for deadlines that other bridges have set, in milliseconds. */
const POLL_MS = 1000

/** How long the bridge of another broker may take to act on a deadline, in milliseconds. */
const OTHERS_AFTER_MS = 1200

/**
 * After a stall of its own that was longer than this a bridge may find that others have taken its broker
 * for lost, which was in the same process, in milliseconds.
 */
const TAKEN_FOR_LOST_MS = 5000

/** How long a word that presence is not fresh is let stand, for others that may contradict it, in milliseconds. */
const REASSERT_MS = 100

/** How long a closing bridge waits for a store that does not answer, in milliseconds. */
const CLOSE_MS = 2000

/**
 * Starts a bridge: it reads the input plane through its link and writes the output plane. Resolves
 * when presence is fresh.
 *
 * @throws RangeError or TypeError for a bad option; whatever the link rejects with when the broker cannot be had
 */
export async function createBridge(options: BridgeOptions): Promise<Bridge> {
  const { link, id, root, policy, pace, journal, logger, clock, scope, ...rest } =
    resolveOptions(options)
  const topics = createTopics(root)
  const store = rest.store ?? createMemoryStore({ now: () => clock.now() })
  const metrics = createMetrics()
  const warn = createLimitedWarning(logger, clock)
  const publisher = createPublisher({ link, topics, logger, journal })
  const stalls = watchStalls({ clock, onStall })
  const common = { store, link, topics, clock, policy, publisher, logger, onError }
  const sharing =
    store.shared &&
    createSharing({
      ...common,
      id,
      shared: store.shared,
      isUp: () => up,
      publishUser: (user) => users.publish(user),
      notifyRoom: (room) => rooms.notify(room),
      sayFresh: (word) => publisher.publishStatus(word),
      isSaidStale: () => status === 'offline',
      beginRollCall: (expectForeign) => rollCall.begin(expectForeign),
      publishRollCall: (call) => rollCall.publish(call),
      onMessage: (message) => onMessage(message),
      onDeaf: shift,
      onSteady: () => deadlines.look(),
      onReturn: (since) => roster.wasDeaf(since),
      isThere: (broker) => roster.isThere(broker),
      isAsking: () => roster.isAsking,
      isComplete: () => roster.isComplete,
      endStandIn: (user) => users.apply(user, { type: 'announced' }),
    })
  const users = createUsers({
    ...common,
    journal,
    sharing,
    onDeadline: (user, at) => deadlines.notice(user, at),
    onRoom: (room) => rooms.notify(room),
    onEffect,
  })
  const deadlines = createDeadlines({
    ...common,
    checkStall: () => stalls.check(),
    ...(sharing && { mayAct: () => sharing.mayJudge, pollMs: POLL_MS }),
    // The bridges of other brokers know first who has come back there.
    ...(scope && { othersAfterMs: OTHERS_AFTER_MS }),
    prepare: () => expiry.prepare(),
    onDue: (user) => expiry.expire(user),
  })
  const rooms = createRoomFlusher({ ...common, pace, sharing })
  const rollCall = createRollCall({ ...common, id, scope, users })
  const { roster } = rollCall
  const witness = link.isLocal
    ? undefined
    : createWitness({ ...common, id, beating: () => roster.beating() })
  const expiry = createExpiry({ ...common, users, roster: sharing && roster, witness })
  const catchUp = createCatchUp({
    ...common,
    rollCall,
    publishUser: (user) => users.publish(user),
    notifyRoom: (room) => rooms.notify(room),
  })
  const onMessage = createReception({
    root,
    documentLimits: rest.documentLimits,
    metrics,
    roster,
    users,
    sharing,
    witness,
    onStatus,
    onTakenForDead: (bridge) => bridge === id && up && !closing && sharing?.contradict(),
    onInvalid: (topic, error) => warn({ topic, error }, 'document dropped'),
    onError,
  })
  const upkeep = createUpkeep({
    ...common,
    rollCall,
    stalls,
    isUp: () => up,
    canJudge: () => up && sharing?.hearing.steady !== false,
    finishAbandoned: sharing && (() => sharing.finishAbandoned()),
    answerLoss: sharing && scope && (() => rollCall.answerLoss()),
  })
  let up = false
  let downAt: number | undefined
  let closing: Promise<void> | undefined
  /** What was said last of the freshness of presence, by any bridge. */
  let status = ''
  let cancelReassert: Cancel = () => {}

  deadlines.pause()
  try {
    for (const broker of await (sharing ? sharing.start() : restore())) roster.expect(broker)
    const filters = [`${root}/connections/+/+`, `${root}/brokers/+`, topics.bridgeStatus]
    if (sharing) filters.push(topics.bridge(id))
    if (witness) filters.push(topics.ping)
    await link.open(filters, { onMessage, onUp, onDown })
  } catch (error) {
    stopTimers()
    // What is wrong is what went wrong first.
    await link.close().catch(() => {})
    throw error
  }

  async function restore(): Promise<Iterable<string>> {
    const brokers = await catchUp.restore()
    // What is restored is held from now, but nobody can be heard before the link is up.
    if (!rest.store) downAt = clock.now()
    return brokers
  }

  /** Another bridge, or this one's earlier life, may be gone; this one is here. */
  function onStatus(said: string): void {
    status = said
    if (said !== 'offline' || closing) return
    // Not at once: where several say so in turn, each answer to each would be one more to flicker.
    cancelReassert()
    cancelReassert = clock.after(REASSERT_MS, reassert)
  }

  function reassert(): void {
    if (status !== 'offline' || !ready() || sharing?.isFresh === false) return
    publisher.publishStatus('online').catch(onError)
  }

  async function onUp(resumed: boolean): Promise<void> {
    up = true
    const deafMs = downAt === undefined ? 0 : clock.now() - downAt
    logger.info({ bridge: id, resumed, deafMs }, 'bridge is up')
    roster.restart()
    witness?.restart()
    if (sharing) {
      deadlines.resume()
      sharing.up(resumed)
      return
    }
    // Before any message: what ends from now on has not been waiting while the bridge was deaf.
    if (deafMs > 0) await shift(deafMs)
    deadlines.resume()
    // Before any message, too: what comes now builds upon what could not be published.
    await catchUp.publish(resumed)
  }

  function onDown(): void {
    up = false
    downAt = clock.now()
    sharing?.hearing.interrupt()
    deadlines.pause()
    logger.warn({ bridge: id }, 'bridge has lost its broker')
  }

  function onStall(ms: number): void {
    metrics.stalls++
    logger.warn({ bridge: id, ms }, 'bridge was not running; deadlines move by that time')
    // Without a link the whole time until its return is added then.
    if (!up) return
    roster.shift(ms)
    if (sharing) sharing.hearing.resume()
    else shift(ms).catch(onError)
    if (scope && ms > TAKEN_FOR_LOST_MS) rollCall.call()
  }

  /** Moves every grace by the time in which nobody could be heard. */
  async function shift(byMs: number): Promise<void> {
    deadlines.pause()
    try {
      const waiting = await store.usersWithDeadline(clock.now() + HORIZON_MS)
      await Promise.all(waiting.map((user) => users.apply(user, { type: 'shift', byMs })))
    } finally {
      deadlines.resume()
    }
  }

  function onEffect(user: string, effect: Effect): void {
    metrics.count(effect)
    if (effect.type === 'transition') {
      const { to, cause } = effect
      logger.debug({ user, cause }, `user is ${to}`)
    } else if (effect.type === 'refused') {
      warn({ user, connections: effect.connections }, 'connection refused: the user has too many')
    }
  }

  function onError(error: unknown): void {
    // A store that is closed refuses what waited for it; it is found there later.
    if (sharing && closing) return
    metrics.errors++
    logger.error({ err: error }, 'bridge failed to do something')
  }

  function ready(): boolean {
    return up && closing === undefined && sharing?.hearing.steady !== false
  }

  function stopTimers(): void {
    cancelReassert()
    deadlines.close()
    upkeep.close()
    stalls.close()
  }

  async function close(): Promise<void> {
    stopTimers()
    let cancelWait: Cancel = () => {}
    const waited = new Promise<void>((resolve) => {
      cancelWait = clock.after(CLOSE_MS, resolve)
    })
    const flushed = rooms.flushAll().catch(onError)
    await (sharing ? Promise.race([flushed, waited]) : flushed)
    cancelWait()
    rooms.close()
    // Where another bridge is left presence stays fresh.
    if (up && !sharing?.hearing.others) await publisher.publishStatus('offline')
    if (up) await sharing?.leave()
    sharing?.close()
    await link.close()
    await store.close()
    logger.info({ bridge: id }, 'bridge is closed')
  }

  return {
    id,
    get ready() {
      return ready()
    },
    metrics: () => ({
      ...metrics.values(),
      ...sharing?.metrics(),
      published: publisher.published,
      flushes: rooms.flushed,
      brokers: roster.brokers,
      up: ready() ? 1 : 0,
    }),
    onlineTime: (user, from, to) => readOnlineTime(store, user, from, to, clock.now()),
    roomAt: (room, at) => readRoomAt(store, room, at),
    close: () => (closing ??= close()),
  }
}
