import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { freePort } from './free-port.ts'

/** A foreign broker, with nothing stored. */
export interface Mosquitto {
  readonly url: string
  readonly port: number
  /** Stops it and lets it go on: `SIGSTOP`, `SIGCONT`. */
  signal(signal: NodeJS.Signals): void
  close(): Promise<void>
}

/** Starts Mosquitto on a port of its own, or on the one that an earlier one had. */
export async function startMosquitto(wanted?: number): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), 'presence-mosquitto-'))
  const port = wanted ?? (await freePort())
  const config = join(directory, 'mosquitto.conf')
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'max_queued_messages 0']
  await writeFile(config, `${lines.join('\n')}\nset_tcp_nodelay true\nmax_inflight_messages 0\n`)
  const path = `${process.env['PATH']}:/usr/sbin`
  const child = spawn('mosquitto', ['-c', config], { stdio: 'ignore', env: { PATH: path } })
  const exited = once(child, 'exit')
  const url = `mqtt://127.0.0.1:${port}`
  const early = exited.then(() => {
    throw new Error(`Mosquitto ended instead of listening on ${port}`)
  })
  await Promise.race([untilAnswers(url), early])
  return {
    url,
    port,
    signal: (signal) => void child.kill(signal),
    async close() {
      child.kill('SIGKILL')
      await exited
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
