import { createTopics, type ConnectionDocument } from '../protocol/index.ts'
import type { Cancel } from '../runtime/clock.ts'
import { createLimitedWarning } from '../runtime/log-limit.ts'
import { watchStalls } from '../runtime/stall-watch.ts'
import { readOnlineTime, readRoomAt, type OnlineTime, type RoomAt } from './activity/questions.ts'
import { connectionKey, type Effect } from './core/index.ts'
import { createDeadlines } from './deadlines.ts'
import { readMessage } from './intake.ts'
import type { LinkMessage } from './link/link.ts'
import { createMetrics } from './metrics.ts'
import { resolveOptions, type BridgeOptions } from './options.ts'
import { createPublisher } from './publisher.ts'
import { readRemains } from './remains.ts'
import { restoreStore } from './restore.ts'
import { createRoomFlusher } from './rooms/room-flusher.ts'
import { createRoster, type Answers } from './roster.ts'
import { createMemoryStore } from './store/memory-store.ts'
import { createSharing } from './sharing.ts'
import { createUpkeep } from './upkeep.ts'
import { createUsers } from './users.ts'

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

/** How long a closing bridge waits for a store that does not answer, in milliseconds. */
const CLOSE_MS = 2000

/**
 * Starts a bridge: it reads the input plane through its link and writes the output plane. Resolves
 * when presence is fresh.
 *
 * @throws RangeError for a bad option; whatever the link rejects with when the broker cannot be had
 */
export async function createBridge(options: BridgeOptions): Promise<Bridge> {
  const { link, id, root, policy, pace, documentLimits, journal, logger, clock, ...rest } =
    resolveOptions(options)
  const topics = createTopics(root)
  const store = rest.store ?? createMemoryStore({ now: () => clock.now() })
  const metrics = createMetrics()
  const warn = createLimitedWarning(logger, clock)
  const publisher = createPublisher({ link, topics, logger, journal })
  const stalls = watchStalls({ clock, onStall })
  const sharing =
    store.shared &&
    createSharing({
      store,
      shared: store.shared,
      link,
      topics,
      clock,
      policy,
      logger,
      isUp: () => up,
      publishUser: (user) => users.publish(user),
      notifyRoom: (room) => rooms.notify(room),
      sayOnline: () => publisher.publishStatus('online'),
      beginRollCall,
      publishRollCall,
      onMessage,
      onDeaf: shift,
      onSteady: () => deadlines.notice(clock.now()),
      onError,
    })
  const users = createUsers({
    store,
    publisher,
    clock,
    policy,
    journal,
    sharing,
    onDeadline: (at) => deadlines.notice(at),
    onRoom: (room) => rooms.notify(room),
    onEffect,
    onError,
  })
  const deadlines = createDeadlines({
    store,
    clock,
    checkStall: () => stalls.check(),
    ...(sharing && { mayAct: () => sharing.hearing.steady, pollMs: POLL_MS }),
    onDue: (user) => users.apply(user, { type: 'timer' }),
    onError,
  })
  const rooms = createRoomFlusher({ store, publisher, clock, pace, onError })
  const roster = createRoster({ clock, onUnknown: onUnknownBroker, onCensus })
  const upkeep = createUpkeep({
    store,
    publisher,
    clock,
    policy,
    roster,
    stalls,
    canHear: () => up,
    finishAbandoned: sharing && (() => sharing.finishAbandoned()),
    onError,
  })
  let up = false
  let downAt: number | undefined
  let calls = 0
  let closing: Promise<void> | undefined

  deadlines.pause()
  try {
    for (const broker of await (sharing ? sharing.start() : restore())) roster.expect(broker)
    const filters = [`${root}/connections/+/+`, `${root}/brokers/+`, topics.bridgeStatus]
    await link.open(filters, { onMessage, onUp, onDown })
  } catch (error) {
    stopTimers()
    await link.close()
    throw error
  }

  async function restore(): Promise<Iterable<string>> {
    const brokers = await restoreStore(store, await readRemains(link, topics), clock.now(), policy)
    // What is restored is held from now, but nobody can be heard before the link is up.
    if (!rest.store) downAt = clock.now()
    return brokers
  }

  async function onMessage(message: LinkMessage): Promise<void> {
    const incoming = readMessage(root, message, documentLimits)
    switch (incoming.kind) {
      case 'document':
        await onDocument(incoming.user, incoming.client, incoming.document)
        return
      case 'heartbeat':
        roster.heartbeat(incoming.beat)
        return
      case 'status':
        // Another bridge, or this one's earlier life, is gone; this one is here. Not awaited: over a
        // socket the acknowledgement comes after this very message.
        if (incoming.status === 'offline' && ready()) {
          publisher.publishStatus('online').catch(onError)
        }
        return
      case 'invalid':
        metrics.invalid++
        warn({ topic: message.topic, error: incoming.error }, 'document dropped')
    }
  }

  async function onDocument(
    user: string,
    client: string,
    document: ConnectionDocument,
  ): Promise<void> {
    metrics.documents++
    const { broker = null, connection, status } = document
    if (status !== 'offline') roster.announced(broker, user, connectionKey(client, connection))
    const apply = (): Promise<unknown> =>
      users.apply(user, { type: 'document', client, document }).catch(onError)
    await (sharing ? sharing.take(apply) : apply())
  }

  async function onUp(resumed: boolean): Promise<void> {
    up = true
    const deafMs = downAt === undefined ? 0 : clock.now() - downAt
    logger.info({ bridge: id, resumed, deafMs }, 'bridge is up')
    roster.restart()
    if (sharing) {
      deadlines.resume()
      sharing.up(resumed)
      return
    }
    // Before any message: what ends from now on has not been waiting while the bridge was deaf.
    if (deafMs > 0) await shift(deafMs)
    deadlines.resume()
    // Before any message, too: what comes now builds upon what could not be published.
    const isForgotten = !resumed && (await brokerForgot())
    if (isForgotten) for (const room of await store.allRooms()) await store.doubtRoom(room)
    const unsure = isForgotten ? await store.allUsers() : await store.dirtyUsers()
    for (const user of unsure) users.publish(user).catch(onError)
    for (const room of await store.dirtyRooms()) rooms.notify(room)
    announce(beginRollCall(!resumed)).catch(onError)
  }

  /** Whether the broker has lost what was retained: a restart without a disk loses even this bridge's will. */
  async function brokerForgot(): Promise<boolean> {
    if ((await store.allUsers()).length === 0) return false
    return (await link.readRetained([topics.bridgeStatus])).length === 0
  }

  /** Says that presence is fresh, and asks who is there once the subscriptions are on their way. */
  async function announce(call: string): Promise<void> {
    await publisher.publishStatus('online')
    publishRollCall(call)
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

  /** From here on every announcement is an answer, what was retained for the bridge included. */
  function beginRollCall(expectForeign: boolean): string {
    const call = `${id}-${++calls}`
    roster.callRoll(call, expectForeign)
    return call
  }

  function publishRollCall(call: string): void {
    link
      .publish(topics.rollcall, JSON.stringify({ rollcall: call }), { retain: false })
      .catch((error: unknown) => logger.debug({ error: String(error) }, 'roll not called'))
  }

  function onUnknownBroker(broker: string): void {
    logger.info({ bridge: id, broker }, 'broker is up')
    publishRollCall(beginRollCall(false))
  }

  function onCensus(broker: string | null, answers: Answers): void {
    takeCensus(broker, answers).catch(onError)
  }

  async function takeCensus(broker: string | null, answers: Answers): Promise<void> {
    const known = await store.usersOfBroker(broker)
    const apply = (user: string): Promise<unknown> =>
      users.apply(user, { type: 'census', broker, alive: answers(user) })
    await Promise.all(known.map(apply))
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
