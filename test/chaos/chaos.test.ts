import { expect } from 'chai'
import { describeTogether } from '../helpers/concurrently.ts'
import type { ChaosOptions } from './options.ts'
import { report } from './report.ts'
import { runChaos } from './run.ts'

const SHORT = {
  seconds: 6,
  users: 24,
  workers: 3,
  rate: 10,
  burst: 3,
  calm: 1,
  without: '',
} as const

/** Seeds whose faults are over soon; what they break, and the clients besides. */
const RUNS: readonly Pick<ChaosOptions, 'topology' | 'seed'>[] = [
  // The server is stopped and killed; clients are frozen.
  { topology: 'single', seed: 22 },
  // A bridge is stopped, another one restarted; clients are frozen.
  { topology: 'bridges', seed: 22 },
  // A server is stopped, Redis drops its clients; clients are frozen and unplugged.
  { topology: 'cluster', seed: 51 },
]

describeTogether('a short time of chaos', 90_000, (scenario) => {
  for (const run of RUNS) {
    scenario(`leaves presence true: ${run.topology}, seed ${run.seed}`, async () => {
      const outcome = await runChaos({ ...SHORT, ...run })
      expect(outcome.violations, report(outcome)).to.deep.equal([])
    })
  }
})
