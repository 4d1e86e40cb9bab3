/** What a page's life means for its connection. */
export interface LifecycleHandlers {
  /** The page is unloading; it may come back out of the back/forward cache. */
  onHide(): void
  onReturn(): void
  /** A good moment to look whether the connection still stands. */
  onWake(): void
  onNetwork(up: boolean): void
  /** Somebody looks at the page, or has just touched it; or nobody looks any more. */
  onSeen(visible: boolean): void
}

/** Being touched is told at most so often, in milliseconds. */
const TOUCH_MS = 5000

const TOUCHES = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const

/** Watches the page; the result stops it. */
export function watchLifecycle(handlers: LifecycleHandlers): () => void {
  const ends = new AbortController()
  const { signal } = ends
  let touchedAt = 0

  function onVisibility(): void {
    const visible = isVisible()
    handlers.onSeen(visible)
    if (visible) handlers.onWake()
  }

  function onTouch(): void {
    if (!isVisible() || Date.now() - touchedAt < TOUCH_MS) return
    touchedAt = Date.now()
    handlers.onSeen(true)
  }

  addEventListener('pagehide', () => handlers.onHide(), { signal })
  addEventListener('pageshow', ({ persisted }) => persisted && handlers.onReturn(), { signal })
  addEventListener('online', () => handlers.onNetwork(true), { signal })
  addEventListener('offline', () => handlers.onNetwork(false), { signal })
  document.addEventListener('visibilitychange', onVisibility, { signal })
  document.addEventListener('resume', () => handlers.onWake(), { signal })
  for (const name of TOUCHES)
    addEventListener(name, onTouch, { signal, passive: true, capture: true })
  return () => ends.abort()
}

/** Whether somebody can see the page. */
export function isVisible(): boolean {
  return document.visibilityState === 'visible'
}

/**
 * Holds a Web Lock for as long as the page lives: the browser does not freeze such a page, and a shared
 * worker learns of its end by it. Null where there are no locks: a page that did not come over HTTPS.
 */
export function holdLock(): {
  readonly name: string
  readonly held: Promise<void>
  release(): void
} | null {
  if (!('locks' in navigator)) return null
  const name = `presence-page-${crypto.randomUUID()}`
  let release = (): void => {}
  const until = new Promise<void>((resolve) => (release = resolve))
  const held = new Promise<void>((resolve) => {
    const hold = (): Promise<void> => (resolve(), until)
    navigator.locks.request(name, hold).catch(() => resolve())
  })
  return { name, held, release: () => release() }
}
