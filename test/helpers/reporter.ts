import mocha from 'mocha'

/** Mocha's Spec, closed by one line that people and programs can read: `12 passed, 0 failed`. */
export default class Reporter extends mocha.reporters.Spec {
  override epilogue(): void {
    super.epilogue()
    const { passes, failures, pending } = this.stats
    const skipped = pending > 0 ? `, ${pending} skipped` : ''
    mocha.reporters.Base.consoleLog(`${passes} passed, ${failures} failed${skipped}`)
  }
}
