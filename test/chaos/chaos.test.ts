import { expect } from 'chai'
import { describeTogether } from '../helpers/concurrently.ts'
import type { ChaosOptions } from './options.ts'
import { report } from './report.ts'
import { runChaos } from './run.ts'

const SHORT = {
  seconds: 8,
  users: 24,
  workers: 3,
  rate: 10,
  burst: 3,
  calm: 1,
  without: '',
} as const

/** Seeds whose faults are over soon; what they break, and the clients besides. */
const RUNS: readonly Pick<ChaosOptions, 'topology' | 'seed'>[] = [
  // The server is stopped, killed, stopped; two freezes.
  { topology: 'single', seed: 11 },
  // Redis is killed, its clients are dropped; a bridge is cut off, another one stopped with SIGTERM.
  { topology: 'bridges', seed: 21 },
  // Redis drops its clients and is stopped; a bridge is stopped with SIGTERM and killed.
  { topology: 'cluster', seed: 50 },
]

describeTogether('a short time of chaos', 90_000, (scenario) => {
  for (const run of RUNS) {
    scenario(`leaves presence true: ${run.topology}, seed ${run.seed}`, async () => {
      const outcome = await runChaos({ ...SHORT, ...run })
      expect(outcome.violations, report(outcome)).to.deep.equal([])
    })
  }
})
