import type { ToEngine } from '../core/index.ts'
import { randomId } from './ids.ts'
import { browserSurroundings, type Port } from './port.ts'
import { createSession, type Session } from './session.ts'

/* A shared worker: all pages of one user, one connection. Its name is made of what decides about it. */

declare const self: SharedWorkerGlobalScope

// Pages wait for this lock: when the page that started the worker crashes, the worker dies with it,
// and no other event tells the rest.
const lock = `presence-worker-${randomId(16)}`
const hasLock = new Promise<void>((resolve) => {
  void navigator.locks.request(lock, () => {
    resolve()
    return new Promise(() => {})
  })
})
let session: Session | undefined

self.addEventListener('connect', ({ ports: [channel] }) => {
  if (!channel) return
  const port: Port = { send: (message) => channel.postMessage(message) }
  channel.addEventListener('message', ({ data }: MessageEvent<ToEngine>) => {
    if (data.type === 'open') open(port, data)
    else session?.receive(port, data)
  })
  channel.start()
  void hasLock.then(() => port.send({ type: 'ready', lock }))
})

function open(port: Port, message: Extract<ToEngine, { type: 'open' }>): void {
  if (!session || session.isOver) {
    session = createSession({
      options: message.options,
      isPunctual: true,
      world: browserSurroundings,
    })
  }
  const joined = session
  joined.open(port, message)
  if (message.lock === null) return
  void navigator.locks.request(message.lock, () => joined.vanish(port))
}
