import type { FromEngine, SessionOptions, ToEngine } from '../core/index.ts'
import type { PresenceOptions } from './options.ts'

/** Where the engine runs. */
export type EngineKind = 'shared' | 'dedicated' | 'page'

/** A running engine. */
export interface Engine {
  readonly kind: EngineKind
  /** The Web Lock that a shared worker holds as long as it lives. */
  readonly lock: string | null
  post(message: ToEngine): void
  close(): void
}

/** One way to run an engine: starts it, and gives what can be done with it before it has answered. */
interface Way {
  readonly kind: EngineKind
  start(receive: (message: FromEngine) => void, fail: () => void): Pick<Engine, 'post' | 'close'>
}

/** How long a worker may take to answer before the next way is tried beside it, in milliseconds. */
const READY_MS = 3000

/** The options of `new SharedWorker` with what the types do not know yet. */
type SharedOptions = WorkerOptions & { extendedLifetime?: boolean }

/**
 * Starts an engine by the first way that works. A worker that is blocked fails with an event or says
 * nothing at all, so each has to answer; one that answers late, on a slow network, still counts if no
 * other was there before.
 *
 * @returns stops trying
 */
export function startEngine(
  options: PresenceOptions,
  session: SessionOptions,
  receive: (message: FromEngine) => void,
  onReady: (engine: Engine | null) => void,
): () => void {
  const ways = waysFor(options, session)
  const started: { close(): void }[] = []
  let chosen: object | null = null
  let over = false
  let running = 0

  function next(): void {
    const way = ways.shift()
    if (over || chosen) return
    if (!way) {
      if (running === 0) onReady(null)
      return
    }
    let alive = true
    const token = {}
    const timer = setTimeout(next, READY_MS)
    const fail = (): void => {
      if (!alive || chosen === token) return
      alive = false
      running--
      clearTimeout(timer)
      next()
    }
    running++
    try {
      const engine = way.start((message) => {
        if (over || !alive) return
        if (chosen === token) return receive(message)
        if (chosen || message.type !== 'ready') return
        chosen = token
        clearTimeout(timer)
        for (const other of started) if (other !== engine) other.close()
        onReady({ ...engine, kind: way.kind, lock: message.lock })
      }, fail)
      started.push(engine)
    } catch {
      fail()
    }
  }
  next()
  return () => {
    over = true
    for (const engine of started) engine.close()
  }
}

/*
 * Which way, and why:
 *
 * 1. A shared worker, where it may outlive its pages for a moment (`extendedLifetime`), the user is named
 *    and there are Web Locks. A refresh is then no reconnection (the broker does not see it), all tabs are
 *    one connection, and the last word gets out even when the browser quits.
 * 2. A dedicated worker otherwise. A shared one that ends with its last page reconnects at each refresh all
 *    the same, and dies with the tab that started it when that crashes, with the connection of all others;
 *    dedicated ones fail one at a time. Who is not named is not known to be one user in two tabs.
 * 3. The page, where a worker is blocked or says nothing: throttled when hidden, so that it needs the
 *    broker's tolerance for late keepalives.
 */
function waysFor(options: PresenceOptions, session: SessionOptions): Way[] {
  const { worker = 'auto', createWorker, workerUrl, sharedWorkerUrl } = options
  const dedicated: Way = {
    kind: 'dedicated',
    start: (receive, fail) => {
      const own = createWorker?.() ?? (workerUrl ? openWorker(workerUrl) : null)
      // Bundlers look for exactly these words.
      const made =
        own ??
        (isForeign(import.meta.url)
          ? openWorker(import.meta.url.replace(/[^/]*$/, 'client.worker.js'))
          : new Worker(new URL('./client.worker.js', import.meta.url), { type: 'module' }))
      made.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => receive(data))
      made.addEventListener('error', fail)
      return { post: (message) => made.postMessage(message), close: () => made.terminate() }
    },
  }
  const shared: Way = {
    kind: 'shared',
    start(receive, fail) {
      const name = nameOf(session)
      const made = sharedWorkerUrl
        ? new SharedWorker(sharedWorkerUrl, {
            type: 'module',
            name,
            extendedLifetime: true,
          } as SharedOptions)
        : new SharedWorker(new URL('./client.shared-worker.js', import.meta.url), {
            type: 'module',
            name,
            extendedLifetime: true,
          } as SharedOptions)
      made.addEventListener('error', fail)
      made.port.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => receive(data))
      made.port.start()
      return { post: (message) => made.port.postMessage(message), close: () => made.port.close() }
    },
  }
  const page: Way = {
    kind: 'page',
    start(receive, fail) {
      let post = (_message: ToEngine): void => {}
      import('../engine/page.ts').then((engine) => (post = engine.startEngine(receive)), fail)
      return { post: (message) => post(message), close: () => {} }
    },
  }
  if (worker === 'page') return [page]
  const canShare = 'SharedWorker' in globalThis && 'locks' in navigator && session.user !== null
  const shares =
    worker === 'shared' || (worker === 'auto' && !createWorker && !workerUrl && outlives())
  const wantsShared = canShare && shares
  return wantsShared ? [shared, dedicated, page] : [dedicated, page]
}

/** The package's version; put in by scripts/build-client.ts. */
declare const CLIENT_VERSION: string

/**
 * Pages with one name share one worker: everything that decides about the connection is in it, and the
 * version, so that a page that was loaded after an update does not meet the worker of before.
 */
function nameOf(session: SessionOptions): string {
  return `presence ${CLIENT_VERSION} ${JSON.stringify(session)}`
}

/** A script of another origin cannot be a worker, but a worker may import it. */
function openWorker(url: string | URL): Worker {
  const { href } = new URL(url, location.href)
  if (!isForeign(href)) return new Worker(href, { type: 'module' })
  const source = new Blob([`import ${JSON.stringify(href)}`], { type: 'text/javascript' })
  return new Worker(URL.createObjectURL(source), { type: 'module' })
}

function isForeign(url: string): boolean {
  return new URL(url).origin !== location.origin
}

/**
 * Whether shared workers may outlive their last page for a moment, so that a refresh is not a
 * reconnection. Options are read before the address is found to be none.
 */
function outlives(): boolean {
  let knows = false
  const probe: SharedOptions = {
    get extendedLifetime() {
      knows = true
      return true
    },
  }
  try {
    return !new SharedWorker('http://[', probe)
  } catch {
    // That is what it was made for.
  }
  return knows
}
