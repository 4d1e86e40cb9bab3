import { startClientProcess, type ClientProcess } from '../../helpers/remote-clients.ts'
import { eventually } from '../../helpers/within.ts'

/** A process of clients that can be stopped and killed while nobody tells it anything. */
export class Host {
  #process: ClientProcess
  #busy = 0
  #isOpen = true

  private constructor(process: ClientProcess) {
    this.#process = process
  }

  static async start(): Promise<Host> {
    return new Host(await startClientProcess())
  }

  /** Whether it can be told something now. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Tells it something, as soon as it can be told; it stays open until that is done. */
  async tell<T>(run: (process: ClientProcess) => Promise<T>): Promise<T> {
    await eventually('the process can be told something', () => this.#isOpen, 30_000)
    this.#busy++
    try {
      return await run(this.#process)
    } finally {
      this.#busy--
    }
  }

  /** Stops it for a while. */
  async freeze(ms: number, onStop: () => void, onContinue: () => Promise<unknown>): Promise<void> {
    await this.#alone(async () => {
      onStop()
      this.#process.kill('SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, ms))
      this.#process.kill('SIGCONT')
      await onContinue()
    })
  }

  /** Kills it, and starts another one in its place. */
  async replace(onKill: () => void): Promise<void> {
    await this.#alone(async () => {
      onKill()
      this.#process.kill('SIGKILL')
      this.#process = await startClientProcess()
    })
  }

  async #alone(run: () => Promise<void>): Promise<void> {
    this.#isOpen = false
    try {
      await eventually('nobody tells the process anything', () => this.#busy === 0, 20_000)
      await run()
    } finally {
      this.#isOpen = true
    }
  }
}
