import { inScenario } from './teardown.ts'

/** A scenario that starts together with the others of its suite. */
export type Scenario = (title: string, run: () => Promise<void>) => void

/**
 * A suite whose scenarios run at the same time: for those that mostly wait. Each is a test of its own
 * and tidies up behind itself.
 */
export function describeTogether(
  title: string,
  withinMs: number,
  define: (scenario: Scenario) => void,
): void {
  describe(title, function () {
    this.timeout(withinMs)
    const scenarios: { readonly title: string; readonly run: () => Promise<void> }[] = []
    const outcomes = new Map<string, Promise<void>>()
    define((name, run) => scenarios.push({ title: name, run }))

    before(() => {
      for (const { title: name, run } of scenarios) {
        const outcome = inScenario(run)
        // Its own test looks at it, perhaps much later.
        outcome.catch(() => {})
        outcomes.set(name, outcome)
      }
    })
    for (const { title: name } of scenarios) it(name, () => outcomes.get(name))
    after(() => Promise.allSettled(outcomes.values()))
  })
}
