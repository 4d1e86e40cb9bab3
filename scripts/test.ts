// Runs all tests: those in browsers, and some more, beside all others, since both mostly wait. Files in which something failed run
// once more with nothing beside them, and then count. The last line sums up: `12 passed, 0 failed`. With arguments
// it is mocha, with these.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const ALL = 'test/**/*.test.ts'
/** So many that both lanes take about as long. */
const BROWSER = ['test/client/**/*.test.ts', 'test/e2e/redis-*.test.ts']

const LANES: Readonly<Record<string, readonly string[]>> = {
  browser: BROWSER,
  others: [ALL, ...BROWSER.flatMap((files) => ['--ignore', files])],
}

const RESULT = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/

const FAILED = /^failed in (.+)$/

interface Result {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Files in which something failed. */
  readonly files: readonly string[]
}

/** Runs mocha; resolves to what its last line says. One that says nothing has failed. */
async function runLane(name: string, args: readonly string[]): Promise<Result> {
  const colour = process.stdout.isTTY ? ['--color'] : []
  const child = spawn('npx', ['mocha', ...colour, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const files: string[] = []
  let result: Result | undefined
  for await (const line of createInterface(child.stdout)) {
    const [, passed, failed, skipped = '0'] = RESULT.exec(line) ?? []
    if (passed !== undefined && failed !== undefined) {
      result = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped), files }
    }
    const [, file] = FAILED.exec(line) ?? []
    if (file !== undefined) files.push(file)
    console.log(`${name.padEnd(7)} │ ${line}`)
  }
  return result ?? { passed: 0, failed: 1, skipped: 0, files }
}

async function runAll(): Promise<void> {
  const lanes = Object.entries(LANES).map(([name, args]) => runLane(name, args))
  const results = await Promise.all(lanes)
  const sum = (what: 'passed' | 'failed' | 'skipped'): number =>
    results.reduce((total, result) => total + result[what], 0)
  const files = results.flatMap((result) => result.files)
  const failed = files.length > 0 ? await runAgain(files, sum('failed')) : sum('failed')
  const passed = sum('passed') + sum('failed') - failed
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''
  console.log(`\n${passed} passed, ${failed} failed${skipped}`)
  process.exitCode = failed > 0 ? 1 : 0
}

/** Runs files alone in which something failed beside others; resolves to how much of that fails again. */
async function runAgain(files: readonly string[], failedBefore: number): Promise<number> {
  console.log(`\n${failedBefore} failed; ${files.length} files run again, with nothing beside them`)
  const { failed } = await runLane('again', files)
  return failed
}

const args = process.argv.slice(2)
if (args.length > 0) {
  const child = spawn('npx', ['mocha', ...args], { stdio: 'inherit' })
  child.on('exit', (code) => (process.exitCode = code ?? 1))
} else {
  await runAll()
}
