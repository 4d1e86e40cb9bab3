import { connectPresence, type Presence } from '../index.ts'

/** How a visitor can go. */
export type Way = 'leave' | 'close' | 'freeze' | 'reload' | 'tab' | 'away'

/** The person before the page. */
export interface Visitor {
  /** Joins a room under a name, or changes both. */
  come(name: string, room: string): void
  go(way: Way): void
}

/** How long a frozen worker does nothing, in milliseconds. */
const FREEZE_MS = 12_000

/** Under which key the name of who reloads is kept. */
const RELOADED = 'presence-demo-reloaded'

/** Who reloaded this page by the button just now; told once. */
export function takeReloaded(): string | null {
  const name = sessionStorage.getItem(RELOADED)
  sessionStorage.removeItem(RELOADED)
  return name
}

/** How a visitor is. */
export interface Whereabouts {
  readonly text: string
  readonly isIn: boolean
  readonly isAway: boolean
}

/** Creates a visitor who is nowhere; `show` is told how it is. */
export function createVisitor(show: (whereabouts: Whereabouts) => void): Visitor {
  let presence: (Presence & { readonly name: string }) | undefined
  let worker: Worker | undefined
  let isAway = false

  function tell(text: string, isIn: boolean): void {
    show({ text, isIn, isAway: isIn && isAway })
  }

  function come(name: string, room: string): void {
    void presence?.leave()
    isAway = false
    const mine = connectPresence({
      url: '/mqtt',
      user: name,
      // Short, so that a frozen worker is missed soon.
      keepalive: '2s',
      away: false,
      createWorker: () => (worker = new Worker('demo.worker.js', { type: 'module' })),
    })
    presence = Object.assign(mine, { name })
    mine.room(room, { note: navigator.maxTouchPoints > 0 ? 'on a phone' : 'at a desk' })
    mine.on('state', ({ state, message }) => {
      if (presence !== mine) return
      if (state === 'online') tell(`You are ${name}, in ${room}.`, true)
      else tell(message ? `${state}: ${message}` : state, true)
    })
  }

  function out(text: string): void {
    presence = undefined
    tell(text, false)
  }

  return {
    come,
    go(way) {
      const mine = presence
      if (!mine) return
      switch (way) {
        case 'leave':
          out('You have left. Join again whenever you like.')
          void mine.leave()
          return
        case 'close':
          // The worker ends without a word, and its socket with it.
          worker?.postMessage({ demo: 'close' })
          out('Your socket is closed. Join again within the grace and nobody will have noticed.')
          void mine.leave()
          return
        case 'freeze':
          worker?.postMessage({ demo: 'freeze', ms: FREEZE_MS })
          tell('Frozen: the socket is open, but nothing is said. Back in 12 s.', true)
          return
        case 'reload':
          sessionStorage.setItem(RELOADED, mine.name)
          location.reload()
          return
        case 'tab':
          window.open(location.href, '_blank')
          return
        case 'away':
          isAway = !isAway
          mine.setStatus(isAway ? 'away' : 'online')
          tell(isAway ? 'You are away. Once more to be back.' : 'You are back.', true)
      }
    },
  }
}
