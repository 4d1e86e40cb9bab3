import type { FromEngine, ToEngine } from '../core/index.ts'
import { browserSurroundings } from './port.ts'
import { createSession, type Session } from './session.ts'

/**
 * Runs the engine in the page itself, where no worker can be had. Its timers are throttled in a hidden
 * tab, so the broker's tolerance for late keepalives is needed.
 */
export function startEngine(send: (message: FromEngine) => void): (message: ToEngine) => void {
  const port = { send }
  let session: Session | undefined
  queueMicrotask(() => send({ type: 'ready', lock: null }))
  return (message) => {
    if (message.type !== 'open') return session?.receive(port, message)
    session = createSession({
      options: message.options,
      isPunctual: false,
      world: browserSurroundings,
    })
    session.open(port, message)
  }
}
