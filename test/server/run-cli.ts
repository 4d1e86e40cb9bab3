import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a run of the program ended, and what it had written by then. */
interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A run of the program as a process of its own. */
export interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  /** Resolves with the standard output when the program is ready; rejects when it ends before. */
  readonly ready: Promise<string>
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Runs the program from its sources, with no PRESENCE_ variables but those that are given. */
export function runCli(argv: readonly string[], variables: Record<string, string> = {}): Run {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PRESENCE_'))
  const child = spawn(process.execPath, ['--import', 'tsx', 'server/cli.ts', ...argv], {
    cwd: ROOT,
    env: { ...Object.fromEntries(inherited), ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ready = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      if (/^ready in/m.test(stdout)) resolve(stdout)
    })
    child.once('close', () => reject(new Error(`ended before it was ready: ${stderr}`)))
  })
  // Many runs are to end at once, and nobody asks whether they were ready.
  ready.catch(() => {})
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
  return { child, ended, ready }
}
