import { formatBanner } from './banner.ts'
import { startProgram, type Program } from './compose.ts'
import type { Command } from './config/load.ts'
import type { Config } from './config/options.ts'
import { createLogger } from './log.ts'
import type { Parts } from './parts.ts'
import { stopOnSignals } from './signals.ts'
import { StartupError } from './startup-error.ts'

/** Runs a command until a signal stops it. */
export async function runProgram(
  command: Command,
  config: Config,
  version: string,
  parts: Parts,
): Promise<void> {
  const logger = createLogger(config.logLevel)
  // Rejections that nobody handles come here too. What is left is in no known state: no tidying up.
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'unhandled error')
    process.exit(1)
  })
  // Not at info: a start that fails is one sentence on standard error and nothing else.
  logger.debug({ command }, 'starting')
  const stopping = new AbortController()
  const starting = startProgram(command, config, parts, logger, stopping.signal)
  process.on('SIGHUP', () => {
    // A start that fails says so itself.
    starting.then((program) => program.reload()).catch(() => {})
  })
  stopOnSignals(async () => {
    stopping.abort()
    // One that has not started stops what it has.
    const started = await starting.catch(() => undefined)
    await started?.stop()
  }, logger)
  let program: Program
  try {
    program = await starting
  } catch (error) {
    // Whoever stopped it needs no sentence.
    if (stopping.signal.aborted) return
    if (!(error instanceof StartupError)) throw error
    logger.debug({ err: error }, 'cannot start')
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
  // Since the process began, so that loading the program counts.
  const startedInMs = performance.now()
  const { mqttPort, mqttsPort, httpPort } = program
  const { node } = process.versions
  logger.info(
    { command, version, node, mqttPort, mqttsPort, httpPort, startedInMs: Math.round(startedInMs) },
    'ready',
  )
  process.stdout.write(formatBanner(command, config, program, startedInMs))
}
