import type { ToEngine } from '../core/index.ts'
import { browserSurroundings } from './port.ts'
import { createSession, type Session } from './session.ts'

/* A dedicated worker: one page, one connection. */

declare const self: DedicatedWorkerGlobalScope

const port = { send: (message: unknown) => self.postMessage(message) }
let session: Session | undefined

self.addEventListener('message', ({ data }: MessageEvent<ToEngine>) => {
  if (data.type !== 'open') return session?.receive(port, data)
  session = createSession({ options: data.options, isPunctual: true, world: browserSurroundings })
  session.open(port, data)
})
port.send({ type: 'ready', lock: null })
