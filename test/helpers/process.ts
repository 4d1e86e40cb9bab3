import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { onTeardown } from './teardown.ts'
import { within } from './within.ts'

/** The folder of the package. */
export const PACKAGE_ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One line of the program's log. */
interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** The program under test, as a process of its own. */
export interface Program {
  readonly pid: number
  /** 0 when it listens on none. */
  readonly mqttPort: number
  /** 0 when it listens on none. */
  readonly httpPort: number
  /** The address that it listens on. */
  readonly host: string
  /** What it has logged so far. */
  readonly log: readonly LogLine[]
  readonly exited: Promise<Exit>
  kill(signal: NodeJS.Signals): void
  /** Ends it with SIGTERM. */
  stop(): Promise<Exit>
  /** Its metrics by name. */
  metrics(): Promise<ReadonlyMap<string, number>>
}

/** How the program is started. */
export interface ProgramOptions {
  /** `broker` or `bridge`; the whole program unless said. */
  readonly command?: 'broker' | 'bridge'
  readonly flags?: readonly string[]
  readonly host?: string
  /** 0 is any; one that is used again after this process has ended must come from `freePort`. @default 0 */
  readonly mqttPort?: number
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

let building: Promise<unknown> | undefined

/** Brings `dist/` up to date, once for all tests. */
export function build(): Promise<unknown> {
  return (building ??= buildOnce())
}

async function buildOnce(): Promise<void> {
  const run = promisify(execFile)
  await run('npx', ['tsc', '-b', 'server'], { cwd: PACKAGE_ROOT }).catch(
    ({ stdout }: { stdout: string }) => {
      throw new Error(`dist/ cannot be built:\n${stdout}`)
    },
  )
  // The scripts for Redis.
  await run('npx', ['tsx', 'scripts/copy-assets.ts'], { cwd: PACKAGE_ROOT })
}

/** Starts the built program and waits until it is ready. */
export async function startProgram(options: ProgramOptions = {}): Promise<Program> {
  const { command, flags = [], host = '127.0.0.1', mqttPort = 0, env = {} } = options
  await build()
  const ports =
    command === 'bridge'
      ? ['--bridge-http-port', '0']
      : ['--mqtt-port', String(mqttPort), '--http-port', '0']
  // In the tests of everything else nobody proves who he is.
  const strangers = host === '127.0.0.1' || command === 'bridge' ? [] : ['--allow-anonymous']
  const at = ['--host', host, ...strangers, ...ports]
  const argv = [...(command ? [command] : []), ...at, ...flags]
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PRESENCE_'))
  const child = spawn(process.execPath, ['dist/server/cli.js', ...argv], {
    cwd: PACKAGE_ROOT,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = exitOf(child)
  const log: LogLine[] = []
  const plain: string[] = []
  const ready = new Promise<LogLine>((resolve, reject) => {
    readLines(child, (text) => {
      const line = parseLogLine(text)
      if (!line) return void plain.push(text)
      log.push(line)
      if (line.msg === 'ready') resolve(line)
    })
    exited.then(
      ({ code }) =>
        reject(new Error(`the program ended with ${code}: ${plain.join('\n')}${last(log)}`)),
      reject,
    )
  })
  onTeardown(async () => {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    await exited
  })
  const line = await within(15_000, 'the program is ready', ready).catch((error: unknown) => {
    // It must not become ready when nobody expects it any more.
    child.kill('SIGKILL')
    throw error
  })
  const httpPort = Number(line['httpPort'] ?? 0)
  const stop = async (): Promise<Exit> => {
    child.kill('SIGTERM')
    return within(6000, 'the program ends after SIGTERM', exited)
  }
  return {
    pid: child.pid ?? 0,
    mqttPort: Number(line['mqttPort'] ?? 0),
    httpPort,
    host,
    log,
    exited,
    kill: (signal) => void child.kill(signal),
    stop,
    async metrics() {
      const text = await (await fetch(`http://${host}:${httpPort}/metrics`)).text()
      const lines = text.split('\n').filter((row) => row !== '' && !row.startsWith('#'))
      return new Map(
        lines.map((row) => {
          const [name = '', value] = row.split(' ')
          return [name, Number(value)]
        }),
      )
    },
  }
}

/** Resolves when a process has ended and everything it wrote was read. */
export function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') onLine(line)
  })
}

function parseLogLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return undefined
  }
}

function last(log: readonly LogLine[]): string {
  return log
    .slice(-5)
    .map((line) => `\n${JSON.stringify(line)}`)
    .join('')
}
