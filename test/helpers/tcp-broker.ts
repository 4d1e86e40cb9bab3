import { createBroker, type Broker, type BrokerOptions } from '../../broker/index.ts'
import { connectPeer, type MqttPeer, type PeerOptions } from './mqtt-peer.ts'
import { onTeardown } from './teardown.ts'
import { eventually } from './within.ts'

/** A broker for one test, and the way to it. */
export interface TcpBroker {
  readonly broker: Broker
  readonly port: number
  readonly connect: (options?: PeerOptions) => Promise<MqttPeer>
  /** Waits until the broker has no more connections than this. */
  readonly untilConnections: (count: number) => Promise<void>
}

/** Starts a broker as it is used, on a port of its own; it is closed at the end of the test. */
export async function startTcpBroker(options: BrokerOptions = {}): Promise<TcpBroker> {
  const broker = await createBroker({ mqttPort: 0, ...options })
  onTeardown(() => broker.close())
  const port = broker.mqttPort ?? 0
  return {
    broker,
    port,
    connect: (peer) => connectPeer(port, peer),
    untilConnections: (count) =>
      eventually(`${count} connections`, () => broker.metrics()['connections'] === count),
  }
}

/** Cuts a peer off, and waits until the broker knows. */
export async function drop(peer: MqttPeer, { untilConnections, broker }: TcpBroker): Promise<void> {
  const count = broker.metrics()['connections'] ?? 0
  peer.stream.destroy()
  await untilConnections(count - 1)
}
