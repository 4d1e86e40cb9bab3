import type { Logger } from '../runtime/logger.ts'

/** What is to be stopped, in the reverse of the order in which it was started. */
export interface StopSteps {
  add(name: string, stop: () => Promise<void>): void
  /** Idempotent. A step that fails is logged, and the others still run. */
  run(): Promise<void>
}

/** Remembers how to stop what has been started so far. */
export function createStopSteps(logger: Logger): StopSteps {
  const steps: { readonly name: string; readonly stop: () => Promise<void> }[] = []
  let running: Promise<void> | undefined

  async function runAll(): Promise<void> {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      try {
        await step.stop()
        logger.debug({ step: step.name }, 'stopped a part')
      } catch (error) {
        logger.error({ step: step.name, err: error }, 'a part did not stop as it should')
      }
    }
  }

  return {
    add(name, stop) {
      steps.push({ name, stop })
      // What came up too late to be stopped with the others.
      running = running?.then(runAll)
    },
    run() {
      running ??= runAll()
      return running
    },
  }
}
