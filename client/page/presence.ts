import type { Json } from '../../protocol/index.ts'
import type { ConnectionState, FromEngine, Wants } from '../core/index.ts'
import { matchesFilter } from '../core/topic-filter.ts'
import { createEngineClient } from './engine-client.ts'
import type { EngineKind } from './engine-host.ts'
import { createEmitter, guard, type Emitter, type Listen } from './emitter.ts'
import { holdLock, isVisible, watchLifecycle } from './lifecycle.ts'
import { resolveOptions, type PresenceOptions } from './options.ts'
import { createRoom, type OwnRoom, type Room } from './room.ts'
import { createUser, type OwnUser, type User } from './user.ts'

/** What a connection tells. */
export interface PresenceEvents {
  state: ConnectionState
}

/** A message of another topic. */
export interface TopicMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: boolean
  /** The payload as text. */
  readonly text: () => string
}

/** A page's presence. */
export interface Presence {
  readonly state: ConnectionState
  /** Where the connection runs; null until that is known. */
  readonly worker: EngineKind | null
  /** Listens; the result stops it. */
  readonly on: Listen<PresenceEvents>
  /** Joins a room, with what others see of this member there. The same room again changes that. */
  room(name: string, data?: Json): Room
  /** Looks at a room without joining it. */
  watch(name: string): Room
  /** Looks at a user. */
  user(name: string): User
  /** `auto`: away when nobody looks at the page. */
  setStatus(status: 'auto' | 'online' | 'away'): void
  /** What others see of this user, in whatever room. */
  setData(data: Json): void
  /** Listens to other topics on the same connection; the result stops it. */
  subscribe(filter: string, handler: (message: TopicMessage) => void): () => void
  /** Publishes on another topic; resolves when the broker has it, rejects when there is no connection. */
  publish(
    topic: string,
    payload: string | Uint8Array,
    options?: { readonly qos?: 0 | 1; readonly retain?: boolean },
  ): Promise<void>
  /** Goes: others see it at once. Resolves when it is said. There is no way back but a new connection. */
  leave(): Promise<void>
}

/** How long the page waits in `pagehide`, so that a worker's last word gets out, in milliseconds. */
const LAST_WORD_MS = 10

/** How long `leave` waits for the engine, in milliseconds. */
const LEAVE_MS = 3000

/**
 * Connects a page. Returns at once; rooms can be joined before there is a connection.
 *
 * @throws RangeError for a bad option
 */
export function connectPresence(options: PresenceOptions): Presence {
  const { session, unloadUrl } = resolveOptions(options)
  const events: Emitter<PresenceEvents> = createEmitter()
  const rooms = new Map<string, OwnRoom>()
  const users = new Map<string, OwnUser>()
  // What was given up in this very turn: the engine does not learn of it if it is wanted again at once.
  const leftRooms = new Map<string, OwnRoom>()
  const leftUsers = new Map<string, OwnUser>()
  const handlers = new Map<string, Set<(message: TopicMessage) => void>>()
  const lock = holdLock()
  let status: Wants['status'] = 'auto'
  let data = options.data
  let state: ConnectionState = {
    state: 'connecting',
    reason: null,
    message: null,
    failed: 0,
    retryAt: null,
  }
  let unloadKey: string | null = null
  let told = wants()
  const again = new Set<string>()
  let isTelling = false
  let over = false

  const engine = createEngineClient({
    options,
    session,
    receive,
    async open() {
      // Told when it is held: who asks for it from then on gets it when the page has gone.
      await lock?.held
      return {
        type: 'open',
        options: session,
        lock: lock?.name ?? null,
        wants: wants(),
        visible: isVisible(),
        network: navigator.onLine,
      }
    },
    onDeath() {
      for (const room of rooms.values()) room.stale()
      setState('reconnecting', 'network', 'the worker has died with the page that had started it')
    },
    onNone: () =>
      setState('stopped', 'unsupported', 'no worker could be started, nor the page do it'),
  })

  function wants(): Wants {
    const joined = [...rooms.values()].flatMap((room): [string, Json][] =>
      room.data === undefined ? [] : [[room.name, room.data]],
    )
    return {
      status,
      ...(data !== undefined && { data }),
      rooms: Object.fromEntries(joined),
      watched: [...rooms.keys()],
      users: [...users.keys()],
      filters: [...handlers.keys()],
    }
  }

  /** What is changed in one go is told in one go. */
  function changed(): void {
    if (isTelling) return
    isTelling = true
    queueMicrotask(() => {
      isTelling = false
      leftRooms.clear()
      leftUsers.clear()
      told = wants()
      engine.post({ type: 'wants', wants: told })
      if (again.size > 0) engine.post({ type: 'again', filters: [...again] })
      again.clear()
    })
  }

  function receive(message: FromEngine): void {
    switch (message.type) {
      case 'ready':
      case 'done':
        return
      case 'state':
        unloadKey = message.unloadKey
        return setState(
          message.state.state,
          message.state.reason,
          message.state.message,
          message.state,
        )
      case 'ask-token':
        return void answerToken(message.attempt)
      case 'room':
        return rooms.get(message.room)?.apply(message)
      case 'user':
        return users.get(message.user)?.apply(message.document)
      case 'message':
        return deliver(message)
    }
  }

  function setState(
    name: ConnectionState['state'],
    reason: ConnectionState['reason'],
    message: string | null,
    rest?: ConnectionState,
  ): void {
    state = { failed: 0, retryAt: null, ...rest, state: name, reason, message }
    events.emit('state', state)
  }

  async function answerToken(attempt: number): Promise<void> {
    try {
      const token = await options.getToken?.()
      if (typeof token !== 'string')
        throw new TypeError(`getToken gave ${typeof token}, not a string`)
      engine.post({ type: 'token', attempt, token })
    } catch (error) {
      engine.post({ type: 'no-token', attempt, message: String(error) })
    }
  }

  function deliver({ topic, payload, retain }: Extract<FromEngine, { type: 'message' }>): void {
    const message = { topic, payload, retain, text: () => new TextDecoder().decode(payload) }
    for (const [filter, all] of handlers) {
      if (!matchesFilter(filter, topic)) continue
      for (const handle of all) guard(() => handle(message))
    }
  }

  function onHide(): void {
    engine.post({ type: 'unload' })
    // A shared worker lives on and says it itself, if this was its last page.
    if (engine.kind === 'shared') return
    if (unloadUrl !== null && unloadKey !== null) navigator.sendBeacon(unloadUrl, unloadKey)
    const until = performance.now() + LAST_WORD_MS
    while (performance.now() < until);
  }

  const stopWatching = watchLifecycle({
    onHide,
    onReturn: () => engine.post({ type: 'return' }),
    onWake: () => engine.post({ type: 'wake' }),
    onNetwork: (up) => engine.post({ type: 'network', up }),
    onSeen: (visible) => engine.post({ type: 'seen', visible }),
  })
  function look(name: string): OwnRoom {
    const known = rooms.get(name) ?? leftRooms.get(name)
    const room = known ?? createRoom(name, (is) => hold(rooms, leftRooms, name, room, is))
    if (!rooms.has(name)) hold(rooms, leftRooms, name, room, true)
    return room
  }

  function lookAt(name: string): OwnUser {
    const known = users.get(name) ?? leftUsers.get(name)
    const user = known ?? createUser(name, () => hold(users, leftUsers, name, user, false))
    if (!users.has(name)) hold(users, leftUsers, name, user, true)
    return user
  }

  /** Something is wanted, or no longer. */
  function hold<T>(
    wanted: Map<string, T>,
    left: Map<string, T>,
    name: string,
    thing: T,
    is: boolean,
  ): void {
    if (is) wanted.set(name, thing)
    else if (wanted.get(name) === thing) {
      wanted.delete(name)
      left.set(name, thing)
    }
    changed()
  }

  return {
    get state() {
      return state
    },
    get worker() {
      return engine.kind
    },
    on: events.on,
    room(name, member = {}) {
      const room = look(name)
      room.join(member)
      return room
    },
    watch: look,
    user: lookAt,
    setStatus(next) {
      status = next
      changed()
    },
    setData(next) {
      data = next
      changed()
    },
    subscribe(filter, handler) {
      const all = handlers.get(filter) ?? new Set()
      handlers.set(filter, all.add(handler))
      if (told.filters.includes(filter)) again.add(filter)
      changed()
      return () => {
        all.delete(handler)
        if (all.size === 0) handlers.delete(filter)
        changed()
      }
    },
    publish: (topic, payload, { qos = 0, retain = false } = {}) =>
      engine.ask((id) => ({ type: 'publish', id, topic, payload, qos, retain })),
    async leave() {
      if (over) return
      over = true
      stopWatching()
      const said = engine.ask((id) => ({ type: 'leave', id })).catch(() => {})
      await Promise.race([said, new Promise((resolve) => setTimeout(resolve, LEAVE_MS))])
      engine.close()
      lock?.release()
      for (const room of rooms.values()) room.stale()
      setState('stopped', 'left', 'this page has left')
    },
  }
}
