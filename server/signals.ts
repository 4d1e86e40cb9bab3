import type { Logger } from '../runtime/logger.ts'

/** A program that was told to stop is gone within 5 s, whatever hangs. */
const HARD_EXIT_MS = 4_500

/** Signals that come so soon after the first are the same one: npm passes on what a terminal has sent to both. */
const SAME_MS = 500

/** Stops the program in good order on SIGTERM and SIGINT, at once on the second of them. */
export function stopOnSignals(stop: () => Promise<void>, logger: Logger): void {
  let stoppingSince: number | undefined

  async function onSignal(signal: string): Promise<void> {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince < SAME_MS) return
      logger.warn({ signal }, 'stopped at once, on a second signal')
      process.exit(1)
    }
    stoppingSince = performance.now()
    logger.info({ signal }, 'stopping')
    setTimeout(() => {
      logger.error({ afterMs: HARD_EXIT_MS }, 'stopped the hard way: a part did not close in time')
      process.exit(1)
    }, HARD_EXIT_MS)
    await stop()
    logger.info({}, 'stopped')
    process.exit(0)
  }

  process.on('SIGTERM', (signal) => void onSignal(signal))
  process.on('SIGINT', (signal) => void onSignal(signal))
}
