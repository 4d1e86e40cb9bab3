import { createTopics } from '../../protocol/index.ts'
import {
  awayAt,
  mergeTabs,
  openTab,
  seeTab,
  tellWants,
  type FromEngine,
  type SessionOptions,
  type Tab,
  type ToEngine,
  type Wants,
} from '../core/index.ts'
import { randomId } from './ids.ts'
import { createLink } from './link.ts'
import type { Port, Surroundings } from './port.ts'
import { addedReadings, createReader, isFor, readingsOf } from './reader.ts'
import { createSpeaker } from './speaker.ts'

/** One connection and the pages that share it. */
export interface Session {
  /** A page is there. */
  open(port: Port, message: Extract<ToEngine, { type: 'open' }>): void
  receive(port: Port, message: ToEngine): void
  /** A page's Web Lock is free: it has gone, with or without a word. */
  vanish(port: Port): void
  /** Whether the last page has left for good. */
  readonly isOver: boolean
}

/** Options of {@link createSession}. */
export interface SessionSettings {
  readonly options: SessionOptions
  /** Whether the timers here are never throttled. */
  readonly isPunctual: boolean
  readonly world: Surroundings
}

/** How long the rooms of a page that has gone are held, unless the options say otherwise. */
const UNLOAD_MS = 2000
const CLOSED_MS = 5000

/** How long after its last page the connection is kept, in milliseconds: longer than a reload takes. */
const LINGER_MS = 1000

/** A timer that is twice as late as this says that the computer slept, in milliseconds. */
const BEAT_MS = 5000

/** The longest time that a browser's timer can wait, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Creates a session. It connects when its first page opens. */
export function createSession({ options, isPunctual, world }: SessionSettings): Session {
  const topics = createTopics(options.root)
  // Random for each engine: a duplicated tab, which copies all storage, does not fight its original.
  const client = `web-${randomId(16)}`
  const tabs = new Map<Port, Tab>()
  const vanished = new Set<Port>()
  const speaker = createSpeaker({ session: options, client, isPunctual, world })
  const reader = createReader({
    root: options.root,
    settleMs: options.settleMs,
    world,
    self: (room) => (speaker.isIn(room) ? speaker.user : null),
    tell: route,
  })
  const link = createLink({
    session: options,
    client,
    world,
    speaker,
    askForToken,
    onUp(connection) {
      if (options.foreign) void connection.subscribe(topics.rollcall)
      speaker.connected(connection)
      update()
      reader.connected(connection)
    },
    onDown() {
      speaker.lost()
      reader.lost()
    },
    onMessage(topic, payload, retain) {
      if (options.foreign && topic === topics.rollcall) speaker.repeat().catch(() => {})
      else reader.onMessage(topic, payload, retain)
    },
    onChange() {
      tellState()
      schedule()
    },
  })
  let order = 0
  let isOver = false
  let wasPresent = false
  let lastState = ''
  let cancelTimer = (): void => {}

  /** Says and reads what the pages that are there want, and what those want that may be back. */
  function update(): void {
    const now = world.now()
    for (const [port, { goneUntil }] of tabs) {
      if (!vanished.has(port) || goneUntil === null || goneUntil > now) continue
      tabs.delete(port)
      vanished.delete(port)
    }
    const all = [...tabs.values()]
    const held = all.filter(({ goneUntil }) => goneUntil === null || goneUntil > now)
    reader.want(readingsOf(held.map(({ wants }) => wants)))
    if (all.some(({ goneUntil }) => goneUntil === null)) {
      wasPresent = true
      speaker.say(mergeTabs(held, now, options))
      link.start()
    } else if (wasPresent) {
      wasPresent = false
      // Said at once, not after a wait for the next page: the browser may quit now. That page says more.
      if ([...tabs.keys()].every((port) => vanished.has(port))) speaker.sayClosed()
      else speaker.sayUnload()
    } else if (now >= Math.max(0, ...all.map((tab) => tab.goneUntil ?? 0)) + LINGER_MS) {
      link.rest()
    }
    tellState()
    schedule()
  }

  function schedule(): void {
    cancelTimer()
    if (isOver) return
    const now = world.now()
    const ofTabs = [...tabs.values()].flatMap((tab) =>
      tab.goneUntil === null ? [awayAt(tab, options)] : [tab.goneUntil, tab.goneUntil + LINGER_MS],
    )
    const due = Math.min(link.deadline ?? Infinity, ...ofTabs.filter((at) => at > now))
    if (due === Infinity) return
    const wait = Math.min(MAX_TIMER_MS, Math.max(0, due - now))
    cancelTimer = world.after(wait, () => {
      link.tick()
      update()
    })
  }

  function watchSleep(): void {
    const before = world.now()
    world.after(BEAT_MS, () => {
      if (isOver) return
      if (world.now() - before > 2 * BEAT_MS) link.wake()
      watchSleep()
    })
  }
  watchSleep()

  function change(port: Port, next: (tab: Tab) => Tab): void {
    const tab = tabs.get(port)
    if (!tab) return
    tabs.set(port, next(tab))
    update()
  }

  function go(port: Port, heldMs: number): void {
    const until = world.now() + heldMs
    // An end after an end never lengthens what is held.
    change(port, (tab) => ({ ...tab, goneUntil: Math.min(tab.goneUntil ?? until, until) }))
  }

  function setWants(port: Port, wants: Wants): void {
    const before = tabs.get(port)
    if (!before) return
    const known = reader.known(addedReadings(readingsOf([before.wants]), readingsOf([wants])))
    change(port, (tab) => tellWants(tab, wants, ++order))
    for (const news of known) port.send(news)
  }

  function greet(port: Port, { wants }: Tab): void {
    port.send({ type: 'state', state: link.state, unloadKey: speaker.unloadKey })
    for (const news of reader.known(readingsOf([wants]))) port.send(news)
  }

  /** A page that is seen is asked first; when it fails, another one next time. */
  function askForToken(attempt: number, failed: number): void {
    const live = [...tabs].filter(([, tab]) => tab.goneUntil === null)
    const isHidden = (tab: Tab): number => Number(tab.hiddenSince !== null)
    const seenFirst = live.toSorted(([, a], [, b]) => isHidden(a) - isHidden(b))
    seenFirst[failed % Math.max(1, seenFirst.length)]?.[0].send({ type: 'ask-token', attempt })
  }

  async function leave(port: Port, id: number): Promise<void> {
    tabs.delete(port)
    isOver = [...tabs.values()].every(({ goneUntil }) => goneUntil !== null)
    if (isOver) await link.leave()
    else update()
    schedule()
    port.send({ type: 'done', id, error: null })
  }

  async function publish(
    port: Port,
    message: Extract<ToEngine, { type: 'publish' }>,
  ): Promise<void> {
    const { id, topic, payload, qos, retain } = message
    let error: string | null = null
    try {
      if (!link.connection) throw new Error('not connected')
      await link.connection.publish(topic, payload, qos, retain)
    } catch (reason) {
      error = reason instanceof Error ? reason.message : String(reason)
    }
    port.send({ type: 'done', id, error })
  }

  function route(message: FromEngine): void {
    for (const [port, { goneUntil, wants }] of tabs) {
      if (goneUntil === null && isFor(wants, message)) port.send(message)
    }
  }

  function tellState(): void {
    const { unloadKey } = speaker
    const { state } = link
    const key = JSON.stringify([state, unloadKey])
    if (key === lastState) return
    lastState = key
    // A message to a page in the back/forward cache would throw it out of there.
    for (const [port, { goneUntil }] of tabs) {
      if (goneUntil === null) port.send({ type: 'state', state, unloadKey })
    }
  }

  return {
    get isOver() {
      return isOver
    },
    open(port, { wants, visible, network }) {
      const tab = openTab(wants, visible, ++order, world.now())
      tabs.set(port, tab)
      greet(port, tab)
      link.setNetwork(network)
      // Somebody asks anew, perhaps with another token.
      link.start(true)
      update()
    },
    receive(port, message) {
      switch (message.type) {
        case 'open':
          return
        case 'wants':
          return setWants(port, message.wants)
        case 'again':
          return reader.refresh(message.filters)
        case 'seen':
          return change(port, (tab) => seeTab(tab, message.visible, world.now()))
        case 'publish':
          return void publish(port, message)
        case 'token':
          return link.giveToken(message.attempt, message.token)
        case 'no-token':
          return link.giveUpToken(message.attempt, message.message)
        case 'wake':
          return link.wake()
        case 'network':
          link.setNetwork(message.up)
          return message.up ? link.wake() : undefined
        case 'unload':
          return go(port, options.grace?.unload ?? UNLOAD_MS)
        case 'return': {
          change(port, (tab) => ({ ...tab, goneUntil: null }))
          const tab = tabs.get(port)
          if (tab) greet(port, tab)
          return link.wake()
        }
        case 'leave':
          return void leave(port, message.id)
      }
    },
    vanish(port) {
      if (!tabs.has(port)) return
      vanished.add(port)
      go(port, options.grace?.closed ?? CLOSED_MS)
    },
  }
}
