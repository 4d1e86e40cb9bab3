import { readFileSync } from 'node:fs'
import { StartupError } from './startup-error.ts'

/**
 * Reads a file that an option names.
 *
 * @throws StartupError that names the option and the file
 */
export function readFile(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new StartupError(`${option}: expected a file that can be read, got ${path} (${code})`, {
      cause: error,
    })
  }
}
