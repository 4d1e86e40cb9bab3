#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { formatHelp } from './config/help.ts'
import { loadConfig } from './config/load.ts'
import { readVersion } from './version.ts'

const argv = process.argv.slice(2)
const isPasswd = argv[0] === 'passwd'
const invocation = loadConfig(isPasswd ? ['--help'] : argv, process.env, (path) =>
  readFileSync(path, 'utf8'),
)

// A reader that has seen enough (`| head`) is no reason to die loudly.
process.stdout.on('error', () => {})

if (isPasswd) {
  const { runPasswd } = await import('./passwd.ts')
  process.exitCode = await runPasswd(argv.slice(1))
} else if (!invocation.ok) {
  process.stderr.write(`${invocation.error}\n`)
  process.exitCode = 1
} else if (invocation.value.command === 'help') {
  process.stdout.write(formatHelp(Math.min(Math.max(process.stdout.columns ?? 80, 80), 100)))
} else if (invocation.value.command === 'version') {
  process.stdout.write(`${readVersion()}\n`)
} else {
  const { command, config } = invocation.value
  // Loaded only now, so that help and mistakes are answered at once.
  const [{ runProgram }, { realParts }] = await Promise.all([
    import('./main.ts'),
    import('./real-parts.ts'),
  ])
  await runProgram(command, config, readVersion(), realParts)
}
