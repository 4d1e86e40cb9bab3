import type { Logger } from '../runtime/logger.ts'

/** A program that was told to stop is gone within 5 s, whatever hangs. */
const HARD_EXIT_MS = 4_500

/** Stops the program in good order on SIGTERM and SIGINT, at once on the second of them. */
export function stopOnSignals(stop: () => Promise<void>, logger: Logger): void {
  let stopping = false

  async function onSignal(signal: string): Promise<void> {
    if (stopping) {
      logger.warn({ signal }, 'stopped at once, on a second signal')
      process.exit(1)
    }
    stopping = true
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
