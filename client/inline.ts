/**
 * The client with its worker inside, for pages that cannot have another file beside it. The worker comes
 * from a Blob, which a content security policy has to allow: `worker-src blob:`.
 *
 * @module
 */
import { connectPresence as connect, type Presence } from './page/presence.ts'
import type { PresenceOptions } from './page/options.ts'

/** The worker's script; put in by scripts/build-client.ts. */
declare const WORKER_SOURCE: string

export * from './index.ts'

/** As `connectPresence` of the main entry, with a dedicated worker that needs no file. */
export function connectPresence(options: PresenceOptions): Presence {
  return connect({ createWorker, ...options })
}

function createWorker(): Worker {
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: 'text/javascript' }))
  return new Worker(url, { type: 'module' })
}
