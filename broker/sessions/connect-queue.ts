/** Lets one client at a time connect under one client id. */
export interface ConnectQueue {
  /** Runs when nobody else is connecting under this id; returns what to call when it is over. */
  enter(clientId: string, run: (leave: () => void) => void): void
  /** Whether somebody is connecting under this id. */
  isBusy(clientId: string): boolean
}

/**
 * Creates the queue. Aedes lets two CONNECTs with one id in one tick both in: both get messages, and
 * the books never agree again.
 */
export function createConnectQueue(): ConnectQueue {
  const waiting = new Map<string, (() => void)[]>()

  function next(clientId: string): void {
    const queue = waiting.get(clientId)
    const run = queue?.shift()
    if (run) run()
    else waiting.delete(clientId)
  }

  return {
    enter(clientId, run) {
      let isIn = true
      const leave = (): void => {
        if (!isIn) return
        isIn = false
        next(clientId)
      }
      const queue = waiting.get(clientId)
      if (queue) {
        queue.push(() => run(leave))
        return
      }
      waiting.set(clientId, [])
      run(leave)
    },
    isBusy: (clientId) => waiting.has(clientId),
  }
}
