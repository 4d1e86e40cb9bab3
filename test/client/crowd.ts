import type { FromEngine, SessionOptions } from '../../client/core/index.ts'
import { createSession } from '../../client/engine/session.ts'
import { onTeardown } from '../helpers/teardown.ts'

/** Many clients without a browser: the engine as it is, in this process. */
export interface Crowd {
  /** Since when each that is online has been, by `performance.now()`. */
  readonly online: ReadonlyMap<number, number>
}

/** What the engine is told when the page has said nothing. */
export const CROWD_OPTIONS: Omit<SessionOptions, 'url' | 'user'> = {
  root: 'presence',
  keepaliveS: 10,
  protocolVersion: 4,
  foreign: false,
  usesToken: false,
  connectTimeoutMs: 10_000,
  tokenTimeoutMs: 30_000,
  baseMs: 1000,
  capMs: 15_000,
  maxTries: Infinity,
  settleMs: 15_000,
  awayHiddenMs: null,
  awayIdleMs: null,
  grace: null,
}

const WORLD = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms: number, callback: () => void) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** Starts them, each a user of its own; they leave with the test. */
export function startCrowd(url: string, size: number): Crowd {
  const online = new Map<number, number>()
  for (let i = 0; i < size; i++) {
    const options = { ...CROWD_OPTIONS, url, user: `user-${i}` }
    const session = createSession({ options, isPunctual: true, world: WORLD })
    const port = {
      send(message: FromEngine) {
        if (message.type !== 'state') return
        if (message.state.state === 'online') online.set(i, performance.now())
        else online.delete(i)
      },
    }
    const wants = { status: 'auto', rooms: {}, watched: [], users: [], filters: [] } as const
    session.open(port, { type: 'open', options, lock: null, wants, visible: true, network: true })
    onTeardown(() => session.receive(port, { type: 'leave', id: 0 }))
  }
  return { online }
}
