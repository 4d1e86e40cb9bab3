/*
 * A broker in a process of its own, so that its processor time can be told from everybody else's.
 * Started by fanout.ts with the kind of broker as its argument.
 */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { argv, cpuUsage } from 'node:process'
import { Aedes } from 'aedes'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { createBroker } from '../broker/index.ts'
import type { Limits } from '../broker/limits/limits.ts'

/** Where a broker listens. */
export interface Ports {
  readonly tcp: number
  readonly websocket: number
}

const STARTERS: Readonly<Record<string, () => Promise<Ports>>> = {
  ours: () => startOurs(),
  /** The same, for a single publisher that does what hundreds would. */
  unlimited: () => startOurs({ maxMessagesPerSecond: 1_000_000 }),
  /** Aedes as its own documentation shows it. */
  async aedes() {
    const aedes = await Aedes.createBroker()
    const tcp = createServer({ noDelay: true }, aedes.handle)
    const http = createHttpServer()
    const sockets = new WebSocketServer({ server: http })
    sockets.on('connection', (socket, request) => {
      aedes.handle(createWebSocketStream(socket), request)
    })
    return { tcp: await listen(tcp), websocket: await listen(http) }
  },
}

async function startOurs(limits: Partial<Limits> = {}): Promise<Ports> {
  const http = createHttpServer()
  const broker = await createBroker({ httpServer: http, mqttPort: 0, limits })
  return { tcp: broker.mqttPort ?? 0, websocket: await listen(http) }
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** The processor time that this process has used, in microseconds. */
function usedMicroseconds(): number {
  const { user, system } = cpuUsage()
  return user + system
}

const start = STARTERS[argv[2] ?? '']
if (!start) throw new Error(`expected ${Object.keys(STARTERS).join(' or ')}, got ${argv[2]}`)
const ports = await start()
process.on('message', () => process.send?.(usedMicroseconds()))
process.on('disconnect', () => process.exit())
process.send?.(ports)
