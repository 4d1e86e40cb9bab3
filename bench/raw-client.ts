import { connect, type Socket } from 'node:net'
import mqttPacket from 'mqtt-packet'

/** An MQTT 3.1.1 client that costs next to nothing, so that a thousand of them measure the server. */
export interface RawClient {
  publish(topic: string, payload: string): void
  subscribe(topic: string, onMessage: (topic: string, payload: Buffer) => void): void
  /** Cuts the socket without a word. */
  cut(): void
}

/** Connects; resolves at CONNACK. */
export function connectRaw(port: number, clientId: string): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const parser = mqttPacket.parser()
    let onMessage: (topic: string, payload: Buffer) => void = () => {}
    const send = (packet: mqttPacket.Packet): void => {
      socket.write(mqttPacket.generate(packet))
    }
    socket.on('connect', () =>
      send({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        clientId,
        keepalive: 0,
      }),
    )
    socket.on('data', (bytes) => parser.parse(bytes))
    socket.on('error', reject)
    parser.on('error', reject)
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connack') resolve(client)
      else if (packet.cmd === 'publish') onMessage(packet.topic, packet.payload as Buffer)
    })
    const client: RawClient = {
      publish: (topic, payload) =>
        send({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }),
      subscribe(topic, listener) {
        onMessage = listener
        send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] })
      },
      cut: () => socket.destroy(),
    }
  })
}
