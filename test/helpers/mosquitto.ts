import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { freePort } from './free-port.ts'

/** A foreign broker. */
export interface Mosquitto {
  readonly url: string
  readonly port: number
  /** Stops it and lets it go on: `SIGSTOP`, `SIGCONT`. */
  signal(signal: NodeJS.Signals): void
  /** Kills it and starts it again, with what it has on its disk. */
  restart(): Promise<void>
  close(): Promise<void>
}

/**
 * Starts Mosquitto on a port of its own, or on the one that an earlier one had.
 *
 * @param settings lines of its configuration; unless they say otherwise nothing is stored
 */
export async function startMosquitto(
  wanted?: number,
  ...settings: readonly string[]
): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), 'presence-mosquitto-'))
  const port = wanted ?? (await freePort())
  const config = join(directory, 'mosquitto.conf')
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'max_queued_messages 0']
  // As root it would become somebody else, who may not write there.
  const more = ['user root', `persistence_location ${directory}/`, ...settings]
  const all = [...lines, 'set_tcp_nodelay true', 'max_inflight_messages 0', ...more]
  await writeFile(config, `${all.join('\n')}\n`)
  const url = `mqtt://127.0.0.1:${port}`
  let running = await launch()

  async function launch(): Promise<{ child: ChildProcess; exited: Promise<unknown> }> {
    const path = `${process.env['PATH']}:/usr/sbin`
    const child = spawn('mosquitto', ['-c', config], { stdio: 'ignore', env: { PATH: path } })
    const exited = once(child, 'exit')
    const early = exited.then(() => {
      throw new Error(`Mosquitto ended instead of listening on ${port}`)
    })
    await Promise.race([untilAnswers(url), early])
    return { child, exited }
  }

  async function kill(): Promise<void> {
    running.child.kill('SIGKILL')
    await running.exited
  }

  return {
    url,
    port,
    signal: (signal) => void running.child.kill(signal),
    async restart() {
      await kill()
      running = await launch()
    },
    async close() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function untilAnswers(url: string): Promise<void> {
  const client = mqtt.connect(url, { reconnectPeriod: 50 })
  client.on('error', () => {})
  await new Promise<void>((resolve) => client.once('connect', () => resolve()))
  await client.endAsync(true)
}
