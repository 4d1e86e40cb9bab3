import type { FromEngine, SessionOptions, ToEngine } from '../core/index.ts'
import { startEngine, type Engine, type EngineKind } from './engine-host.ts'
import type { PresenceOptions } from './options.ts'

/** The page's engine, through its deaths and restarts. */
export interface EngineClient {
  readonly kind: EngineKind | null
  /** Is lost when there is no engine: whatever matters is said again to the next one. */
  post(message: ToEngine): void
  /** Resolves when the engine says that it is done; rejects when it cannot be, or there is none. */
  ask(message: (id: number) => ToEngine): Promise<void>
  close(): void
}

/** Options of {@link createEngineClient}. */
export interface EngineClientOptions {
  readonly options: PresenceOptions
  readonly session: SessionOptions
  /** An engine answers: what it has to know. */
  readonly open: () => Promise<ToEngine>
  readonly receive: (message: FromEngine) => void
  /** The engine has died; another one is being started. */
  readonly onDeath: () => void
  /** There is no way to run an engine here. */
  readonly onNone: () => void
}

/** Starts an engine, and another one when it dies. */
export function createEngineClient(settings: EngineClientOptions): EngineClient {
  const { options, session, open, receive, onDeath, onNone } = settings
  const waiting = new Map<number, (error: string | null) => void>()
  let engine: Engine | null = null
  let lastId = 0
  let closed = false
  let stop = start()
  let watching = new AbortController()

  function start(): () => void {
    return startEngine(options, session, take, (ready) => {
      if (ready) void greet(ready)
      else onNone()
    })
  }

  async function greet(ready: Engine): Promise<void> {
    const message = await open()
    if (closed) return ready.close()
    engine = ready
    ready.post(message)
    if (ready.lock === null) return
    // A shared worker dies with the page that started it, when that crashes. The lock is all that tells.
    watching = new AbortController()
    navigator.locks.request(ready.lock, { signal: watching.signal }, restart).catch(() => {})
  }

  function restart(): void {
    if (closed) return
    stop()
    engine = null
    for (const answer of waiting.values()) answer('the worker has died')
    waiting.clear()
    onDeath()
    stop = start()
  }

  function take(message: FromEngine): void {
    if (message.type !== 'done') return receive(message)
    waiting.get(message.id)?.(message.error)
    waiting.delete(message.id)
  }

  return {
    get kind() {
      return engine?.kind ?? null
    },
    post(message) {
      engine?.post(message)
    },
    ask: (message) =>
      new Promise((resolve, reject) => {
        if (!engine) return reject(new Error('not connected'))
        const id = ++lastId
        waiting.set(id, (error) => (error === null ? resolve() : reject(new Error(error))))
        engine.post(message(id))
      }),
    close() {
      closed = true
      watching.abort()
      stop()
      engine = null
    },
  }
}
