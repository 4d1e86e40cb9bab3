import mqtt from 'mqtt'
import { setTimeout as pause } from 'node:timers/promises'
import { urlOf } from '../helpers/connect-options.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { createReader, type Reading } from './reading.ts'
import type { Node } from './world.ts'

/** Reads the output topics of one broker, and begins anew whenever that broker is gone. */
export interface Observer {
  /** Stops, and tells what was read. */
  finish(): Promise<Reading>
}

/** How soon a connection is tried again, in milliseconds. */
const RETRY_MS = 250

/** Somebody who reads everything that people read, and is not present. */
export function observe(node: Node): Observer {
  const reader = createReader(`reader of ${node.name}`)
  let isOver = false
  let end: () => void = () => {}

  async function readOnce(): Promise<void> {
    const { mqttPort, httpPort } = node
    const url = urlOf({ host: '127.0.0.1', mqttPort, httpPort }, 'tcp')
    // Anew each time: with the id that a broker has made up for it before, it would be somebody.
    const nobody = { clientId: '', clean: true, protocolVersion: 5, reconnectPeriod: 0 } as const
    const client = await mqtt.connectAsync(url, { ...nobody, connectTimeout: 5000 }, false)
    client.on('error', () => {})
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
    end = () => client.end(true)
    client.on('message', (topic, payload) => {
      reader.read(performance.now(), topic, payload.toString())
    })
    reader.open(performance.now())
    // Not awaited: a broker that dies now never acknowledges it.
    client.subscribe(['presence/users/#', 'presence/rooms/#'], { qos: 1 }, () => {})
    if (isOver) end()
    await closed
  }

  async function run(): Promise<void> {
    while (!isOver) {
      await readOnce().catch(() => {})
      reader.close(performance.now())
      end()
      if (!isOver) await pause(RETRY_MS)
    }
  }

  const running = run()
  async function close(): Promise<void> {
    isOver = true
    end()
    await running
  }
  onTeardown(close)
  return {
    async finish() {
      await close()
      return reader.finish(performance.now())
    },
  }
}
