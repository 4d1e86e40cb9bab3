import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../helpers/free-port.ts'
import { exitOf } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

/** A Mosquitto that speaks WebSocket, too. */
export interface ForeignBroker {
  readonly mqttPort: number
  readonly webSocketPort: number
}

/** Starts one with nothing stored; it ends with the test. */
export async function startForeignBroker(): Promise<ForeignBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'presence-mosquitto-'))
  const [mqttPort, webSocketPort] = [await freePort(), await freePort()]
  const config = [
    `listener ${mqttPort} 127.0.0.1`,
    `listener ${webSocketPort} 127.0.0.1`,
    'protocol websockets',
    'allow_anonymous true',
  ]
  await writeFile(join(folder, 'conf'), `${config.join('\n')}\n`)
  const path = `${process.env['PATH']}:/usr/sbin`
  const child = spawn('mosquitto', ['-c', join(folder, 'conf')], {
    stdio: 'ignore',
    env: { PATH: path },
  })
  const exited = exitOf(child)
  onTeardown(async () => {
    child.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  })
  await eventually('Mosquitto listens', () => listens(webSocketPort))
  return { mqttPort, webSocketPort }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
