import { relative } from 'node:path'
import mocha from 'mocha'

/**
 * Mocha's Spec, closed by lines that people and programs can read: the files in which something failed, and
 * `12 passed, 0 failed`.
 */
export default class Reporter extends mocha.reporters.Spec {
  override epilogue(): void {
    super.epilogue()
    const say = mocha.reporters.Base.consoleLog
    const { passes, failures, pending } = this.stats
    const files = this.failures.map(({ file }) => file && relative('.', file))
    for (const file of new Set(files)) say(`failed in ${file ?? 'no file'}`)
    const skipped = pending > 0 ? `, ${pending} skipped` : ''
    say(`${passes} passed, ${failures} failed${skipped}`)
  }
}
