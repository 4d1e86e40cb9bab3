import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Address } from './connect-options.ts'
import { exitOf, type Exit } from './process.ts'
import { onTeardown } from './teardown.ts'

/** One of Mosquitto's command line clients at work. */
export interface MosquittoClient {
  /** What it has printed so far, line by line. */
  readonly lines: readonly string[]
  readonly exited: Promise<Exit>
  /** Writes a line to its standard input; `mosquitto_pub -l` publishes it. */
  write(line: string): void
  /** Ends its standard input; `mosquitto_pub -l` then says goodbye. */
  end(): void
  kill(signal: NodeJS.Signals): void
}

/** Runs `mosquitto_sub` or `mosquitto_pub`; it is killed at the end of the test. */
export function runMosquitto(
  program: 'mosquitto_sub' | 'mosquitto_pub',
  { host, mqttPort }: Address,
  ...args: string[]
): MosquittoClient {
  const child = spawn(program, ['-h', host, '-p', String(mqttPort), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = exitOf(child)
  const lines: string[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  endWithTest(child, exited)
  return {
    lines,
    exited,
    write: (line) => void child.stdin.write(`${line}\n`),
    end: () => void child.stdin.end(),
    kill: (signal) => void child.kill(signal),
  }
}

/** Kills a process at the end of the test. */
function endWithTest(child: ChildProcess, exited: Promise<Exit>): void {
  // One that could not be started has failed already, where it was asked for.
  exited.catch(() => {})
  onTeardown(async () => {
    child.kill('SIGKILL')
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      await once(child, 'close')
    }
  })
}
