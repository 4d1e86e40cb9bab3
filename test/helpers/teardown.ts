import { AsyncLocalStorage } from 'node:async_hooks'

type Cleanup = () => unknown

/** What belongs to the test that runs now, unless a scenario of its own runs in it. */
const ofTest: Cleanup[] = []
const ofScenario = new AsyncLocalStorage<Cleanup[]>()

/** Runs at the end of the test, or of the scenario, in which it is asked for; the last one first. */
export function onTeardown(cleanup: Cleanup): void {
  const cleanups = ofScenario.getStore() ?? ofTest
  cleanups.push(cleanup)
}

/** Runs a scenario that tidies up behind itself, whatever else runs at the same time. */
export function inScenario<T>(run: () => Promise<T>): Promise<T> {
  const cleanups: Cleanup[] = []
  return ofScenario.run(cleanups, async () => {
    try {
      return await run()
    } finally {
      await tidyUp(cleanups)
    }
  })
}

async function tidyUp(cleanups: Cleanup[]): Promise<void> {
  for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup()
}

/** For every test of every file, also when a process runs several files (`require` in .mocharc.json). */
export const mochaHooks = { afterEach: (): Promise<void> => tidyUp(ofTest) }
