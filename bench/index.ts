/*
 * Every measurement, one after the other; or those that are named: `npm run bench -- core storm`.
 */
import { argv } from 'node:process'

const BENCHES: Readonly<Record<string, () => Promise<{ main(): Promise<void> }>>> = {
  core: () => import('./core.ts'),
  retained: () => import('./retained.ts'),
  fanout: () => import('./fanout.ts'),
  stuck: () => import('./fanout-stuck.ts'),
  gate: () => import('./gate.ts'),
  storm: () => import('./storm.ts'),
  redis: () => import('./redis.ts'),
  limits: () => import('./limits.ts'),
  cluster: () => import('./cluster.ts'),
  client: () => import('./client.ts'),
}

const asked = argv.slice(2)
const unknown = asked.filter((name) => !Object.hasOwn(BENCHES, name))
if (unknown.length > 0) {
  console.error(`expected any of ${Object.keys(BENCHES).join(', ')}, got ${unknown.join(', ')}`)
  process.exitCode = 1
} else {
  for (const [name, load] of Object.entries(BENCHES)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    console.log(`\n=== ${name}\n`)
    await (await load()).main()
  }
}
