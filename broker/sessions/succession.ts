import type { Clock } from '../../runtime/clock.ts'

/**
 * Keeps the end of a connection behind the beginning of the one that takes over its client id: the end is
 * then stale, and a takeover is silent whatever the grace.
 */
export interface Succession {
  /** Runs when the successor has been announced, or has failed; at once when there is none. */
  after(clientId: string, run: () => void): void
  /** There will be a successor, at another broker: this one is told nothing of it, and waits. */
  expect(clientId: string): void
  /** The successor has been announced, or has failed. */
  settle(clientId: string): void
}

/** How long a successor is waited for, in milliseconds: here, and at another broker. */
const WAIT_MS = 1000
const WAIT_ELSEWHERE_MS = 3000

/** @param isBusy whether somebody is connecting under a client id */
export function createSuccession(clock: Clock, isBusy: (clientId: string) => boolean): Succession {
  const waiting = new Map<string, (() => void)[]>()

  function runsOf(clientId: string, waitMs: number): (() => void)[] {
    let runs = waiting.get(clientId)
    if (!runs) {
      waiting.set(clientId, (runs = []))
      clock.after(waitMs, () => settle(clientId))
    }
    return runs
  }

  function settle(clientId: string): void {
    const runs = waiting.get(clientId)
    waiting.delete(clientId)
    for (const run of runs ?? []) run()
  }

  return {
    after(clientId, run) {
      if (isBusy(clientId) || waiting.has(clientId)) runsOf(clientId, WAIT_MS).push(run)
      else run()
    },
    expect: (clientId) => void runsOf(clientId, WAIT_ELSEWHERE_MS),
    settle,
  }
}
