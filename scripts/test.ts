// Runs all tests: those in browsers beside all others, since both mostly wait; in CI one after the other, since
// nobody waits there. The last line sums up: `12 passed, 0 failed`. With arguments it is mocha, with these.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const ALL = 'test/**/*.test.ts'
const BROWSER = 'test/client/**/*.test.ts'

const LANES: Readonly<Record<string, readonly string[]>> = {
  browser: [BROWSER],
  others: [ALL, '--ignore', BROWSER],
}

const RESULT = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/

interface Result {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** Runs mocha; resolves to what its last line says. One that says nothing has failed. */
async function runLane(name: string, args: readonly string[]): Promise<Result> {
  const colour = process.stdout.isTTY ? ['--color'] : []
  const child = spawn('npx', ['mocha', ...colour, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let result: Result | undefined
  for await (const line of createInterface(child.stdout)) {
    const [, passed, failed, skipped = '0'] = RESULT.exec(line) ?? []
    if (passed !== undefined && failed !== undefined) {
      result = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) }
    }
    console.log(`${name.padEnd(7)} │ ${line}`)
  }
  return result ?? { passed: 0, failed: 1, skipped: 0 }
}

async function runAll(): Promise<void> {
  const running: Promise<Result>[] = []
  for (const [name, args] of Object.entries(LANES)) {
    const lane = runLane(name, args)
    running.push(lane)
    if (process.env['CI']) await lane
  }
  const results = await Promise.all(running)
  const sum = (what: keyof Result): number =>
    results.reduce((total, result) => total + result[what], 0)
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped}`)
  process.exitCode = sum('failed') > 0 ? 1 : 0
}

const args = process.argv.slice(2)
if (args.length > 0) {
  const child = spawn('npx', ['mocha', ...args], { stdio: 'inherit' })
  child.on('exit', (code) => (process.exitCode = code ?? 1))
} else {
  await runAll()
}
