import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

/**
 * A warning that strangers can cause at will: at most `perSecond` lines a second; the next line
 * says how many were left out.
 */
export function createLimitedWarning(
  logger: Logger,
  clock: Clock,
  perSecond = 20,
): (fields: object, message: string) => void {
  let second = 0
  let lines = 0
  let suppressed = 0
  return (fields, message) => {
    const now = Math.floor(clock.now() / 1000)
    if (now !== second) {
      second = now
      lines = 0
    }
    if (++lines > perSecond) {
      suppressed++
      return
    }
    logger.warn(suppressed > 0 ? { ...fields, suppressed } : fields, message)
    suppressed = 0
  }
}
