import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createBroker } from '../../broker/index.ts'
import { createTopics, parseConnectionDocument } from '../../protocol/index.ts'
import { describeTogether } from '../helpers/concurrently.ts'
import { PACKAGE_ROOT } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'
import { FOREIGN_CLIENTS, type ForeignClient, type Ports } from './interop-clients.ts'

const topics = createTopics()

/** A broker that takes note of everything that is said of connections, and of wills. */
async function startBroker(): Promise<{
  readonly ports: Ports
  readonly statuses: Map<string, string[]>
  readonly wills: string[]
}> {
  const httpServer = createServer().listen(0, '127.0.0.1')
  await once(httpServer, 'listening')
  const broker = await createBroker({ mqttPort: 0, httpServer })
  onTeardown(async () => {
    await broker.close()
    httpServer.close()
  })
  const statuses = new Map<string, string[]>()
  const wills: string[] = []
  const link = broker.link()
  await link.publish('news', 'hello', { retain: true })
  await link.open(['presence/connections/+/+', 'wills'], {
    onUp: async () => {},
    onDown: () => {},
    async onMessage({ topic, payload }) {
      const text = Buffer.from(payload).toString()
      if (topic === 'wills') {
        wills.push(text)
        return
      }
      const document = parseConnectionDocument(text)
      if (!document.ok) return
      const before = statuses.get(topic) ?? []
      statuses.set(topic, [...before, document.value.status])
    },
  })
  const { port: webSocket } = httpServer.address() as AddressInfo
  return { ports: { tcp: broker.mqttPort ?? 0, webSocket }, statuses, wills }
}

function start({ command, args }: ForeignClient, ports: Ports, id: string): ChildProcess {
  const child = spawn(command, args(ports, id), {
    cwd: PACKAGE_ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onTeardown(() => child.kill('SIGKILL'))
  return child
}

describeTogether(
  'a client that is killed is offline, and its will is published',
  60_000,
  (scenario) => {
    for (const [i, client] of FOREIGN_CLIENTS.entries()) {
      scenario(client.name, async () => {
        const { ports, statuses, wills } = await startBroker()
        const id = `foreign-${i}`
        const child = start(client, ports, id)
        let output = ''
        child.stdout?.on('data', (text: Buffer) => (output += text.toString()))
        child.stderr?.on('data', (text: Buffer) => (output += text.toString()))
        child.once('error', (error) => (output += error.message))
        const topic = topics.connection(id, id)
        const told = (): string[] => statuses.get(topic) ?? []
        try {
          await eventually('it is online', () => told().includes('online'), 30_000)
          const { shows } = client
          if (shows) await eventually('it gets messages', () => output.includes(shows), 30_000)
          child.kill('SIGKILL')
          await eventually('it is offline', () => told().at(-1) === 'offline', 10_000)
          await eventually('its will is published', () => wills.length > 0)
          expect(wills).to.deep.equal([id])
        } catch (error) {
          throw new Error(`${(error as Error).message}; it wrote: ${output}`, { cause: error })
        }
      })
    }
  },
)
