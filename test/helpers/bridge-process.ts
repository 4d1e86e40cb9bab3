import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BridgeOptions } from '../../bridge/index.ts'
import { exitOf, PACKAGE_ROOT } from './process.ts'
import { onTeardown } from './teardown.ts'
import { within } from './within.ts'

/** How a bridge in a process of its own is set up. */
export interface BridgeSetup extends Partial<Omit<BridgeOptions, 'link' | 'store' | 'logger'>> {
  readonly id: string
  readonly broker: string
  readonly redis: string
}

/** A bridge in a process of its own, on Redis. */
export interface BridgeProcess {
  /** Its counters, and whether it is ready. */
  metrics(): Promise<Record<string, number>>
  kill(signal: NodeJS.Signals): void
  readonly exited: Promise<unknown>
}

const SCRIPT = fileURLToPath(new URL('./bridge-program.ts', import.meta.url))

/** Starts a bridge; it is killed at the end of the test. */
export async function startBridgeProcess(setup: BridgeSetup): Promise<BridgeProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, JSON.stringify(setup)], {
    cwd: PACKAGE_ROOT,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = exitOf(child)
  const waiting: ((metrics: Record<string, number>) => void)[] = []
  child.on('message', (metrics: Record<string, number>) => waiting.shift()?.(metrics))
  const metrics = (): Promise<Record<string, number>> =>
    new Promise((resolve) => {
      waiting.push(resolve)
      child.send('metrics', () => {})
    })
  onTeardown(async () => {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    await exited
  })
  await within(15_000, `the bridge ${setup.id} is ready`, Promise.race([metrics(), exited]))
  return { metrics, kill: (signal) => void child.kill(signal), exited }
}
