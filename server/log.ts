import { destination, pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino'
import type { Config } from './config/options.ts'

/** Logs to standard error: JSON lines, or plain ones where a person watches. */
export function createLogger(level: Config['logLevel']): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(options, process.stderr.isTTY ? plainLines() : destination({ fd: 2, sync: true }))
}

function plainLines(): DestinationStream {
  return { write: (line) => void process.stderr.write(formatPlain(line)) }
}

/** Writes one of the logger's JSON lines for a person: time, level, message, `name=value` fields. */
export function formatPlain(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${plainValue(value)}`)
  const stack =
    typeof err === 'object' && err !== null && 'stack' in err ? `\n${String(err.stack)}` : ''
  const clock = String(time).slice(11, 23)
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}${pairs.join('')}${stack}\n`
}

function plainValue(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}
