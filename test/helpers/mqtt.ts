import mqtt, { type MqttClient } from 'mqtt'
import { createTopics } from '../../protocol/index.ts'
import { connectOptions, urlOf, type Address, type ClientOptions } from './connect-options.ts'
import { onTeardown } from './teardown.ts'

/** A connected MQTT client that never reconnects by itself. */
export interface Client {
  readonly user: string
  readonly clientId: string
  readonly mqtt: MqttClient
  /** Publishes on this client's own presence topic; resolves with the acknowledgement. */
  say(document: object | string | Buffer): Promise<void>
  publish(topic: string, payload: string | Buffer, retain?: boolean): Promise<void>
  /** Says goodbye with DISCONNECT. */
  leave(): Promise<void>
  /** Cuts the connection without a word. */
  cut(): void
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
}

const topics = createTopics()

/** Connects a client; it is cut at the end of the test. */
export async function connectClient(address: Address, options: ClientOptions): Promise<Client> {
  const settings = connectOptions(options)
  const { clientId } = settings
  const user = options.user ?? clientId
  const client = await mqtt.connectAsync(urlOf(address, options.transport), settings)
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
  client.on('error', () => {})
  onTeardown(() => client.endAsync(true))

  async function publish(topic: string, payload: string | Buffer, retain = false): Promise<void> {
    await client.publishAsync(topic, payload, { qos: 1, retain })
  }

  return {
    user,
    clientId,
    mqtt: client,
    closed,
    publish,
    say: (document) =>
      publish(
        topics.connection(user, clientId),
        typeof document === 'string' || Buffer.isBuffer(document)
          ? document
          : JSON.stringify(document),
      ),
    leave: () => client.endAsync(),
    cut: () => void client.stream.destroy(),
  }
}
