import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Aedes, type AedesOptions } from 'aedes'
import type { AedesClient } from '../../../broker/aedes-internals.ts'
import { createFanoutEmitter } from '../../../broker/fanout/emitter.ts'
import type { FanoutOptions } from '../../../broker/fanout/options.ts'
import { MemoryPersistence } from '../../../broker/persistence/memory-persistence.ts'
import { createTcpListener } from '../../../broker/transport/tcp-listener.ts'
import { attachWebSocketListener } from '../../../broker/transport/websocket-listener.ts'
import { connectPeer, type MqttPeer, type PeerOptions } from '../../helpers/mqtt-peer.ts'
import { onTeardown } from '../../helpers/teardown.ts'

/** A plain message of an embedder, without its topic. */
export const PACKET = { cmd: 'publish', payload: '', qos: 0, retain: false, dup: false } as const

/** A connected client as Aedes has it. */
export function clientOf(aedes: Aedes, id: string): AedesClient {
  const { clients } = aedes as Aedes & { clients: Record<string, AedesClient> }
  const client = clients[id]
  if (!client) throw new Error(`${id} is not connected`)
  return client
}

/** Aedes with the fan-out, nothing else between them, and its two ports. */
export async function startBroker(options: FanoutOptions = {}, aedesOptions: AedesOptions = {}) {
  const persistence = new MemoryPersistence({ isSentByFanout: true })
  const fanout = createFanoutEmitter({
    queueOf: (clientId) => persistence.queueOf(clientId),
    ...options,
  })
  const aedes = await Aedes.createBroker({
    ...aedesOptions,
    mq: fanout,
    persistence,
    drainTimeout: 0,
    preConnect(client, _packet, callback) {
      fanout.adopt(client)
      callback(null, true)
    },
  })
  aedes.on('client', ({ id, clean }) => {
    if (!clean) persistence.keepSession(id)
  })
  const onConnection = (stream: Parameters<Aedes['handle']>[0]): void => void aedes.handle(stream)
  const tcp = createTcpListener({ onConnection })
  const http = createServer()
  const webSockets = attachWebSocketListener(http, { onConnection })
  const port = await tcp.listen(0, '127.0.0.1')
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  onTeardown(async () => {
    await new Promise<void>((done) => aedes.close(done))
    await Promise.all([tcp.close(), webSockets.close(), new Promise((done) => http.close(done))])
  })
  return {
    aedes,
    fanout,
    webSocketPort: (http.address() as AddressInfo).port,
    connect: (peer?: PeerOptions): Promise<MqttPeer> => connectPeer(port, peer),
  }
}
