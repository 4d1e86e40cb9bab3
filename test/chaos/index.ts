/*
 * Breaks everything and checks what readers are shown: `npm run chaos -- --seed 7 --seconds 120`.
 */
import process, { argv, exit, stderr, stdout } from 'node:process'
import { HELP, parseOptions } from './options.ts'
import { report } from './report.ts'
import { runChaos } from './run.ts'

const asked = parseOptions(argv.slice(2))
if (asked.kind === 'help') {
  stdout.write(HELP)
} else if (asked.kind === 'wrong') {
  stderr.write(`${asked.sentence}\nnpm run chaos -- --help tells what there is.\n`)
  exit(2)
} else {
  const calledOff = new Promise<never>((_, reject) => {
    const onSignal = (signal: string): void => reject(new Error(`called off by ${signal}`))
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
  const outcome = await runChaos(asked.options, calledOff)
  stdout.write(report(outcome))
  exit(outcome.violations.length === 0 ? 0 : 1)
}
