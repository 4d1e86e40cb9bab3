// A process of MQTT clients that does what it is told over IPC, so that clients can be killed, stopped,
// and shut into a network namespace. remote-clients.ts starts it.
import mqtt, { type MqttClient } from 'mqtt'
import { connectOptions, urlOf, type Address, type ClientOptions } from './connect-options.ts'

/** What a process of clients can be told. */
export type Command =
  | {
      readonly type: 'connect'
      readonly key: string
      readonly address: Address
      readonly options: ClientOptions
    }
  | {
      readonly type: 'publish'
      readonly key: string
      readonly topic: string
      readonly payload: string
    }
  /** Says goodbye with DISCONNECT. */
  | { readonly type: 'leave'; readonly key: string }
  /** Cuts the connection without a word. */
  | { readonly type: 'cut'; readonly key: string }

/** A command with a number that comes back in the answer. */
export interface Request {
  readonly id: number
  readonly command: Command
}

/** How a command went; or, without a number, which connection was closed by the other side. */
export type Report =
  | { readonly type: 'done'; readonly id: number; readonly error?: string }
  | { readonly type: 'closed'; readonly key: string }

/** How long a connection may take, in milliseconds: less than whoever asked for it waits. */
const CONNECT_MS = 10_000

const clients = new Map<string, MqttClient>()

process.on('message', ({ id, command }: Request) => {
  obey(command).then(
    () => report({ type: 'done', id }),
    (error: unknown) => report({ type: 'done', id, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
report({ type: 'done', id: 0 })

async function obey(command: Command): Promise<void> {
  const { key } = command
  if (command.type === 'connect') {
    const { address, options } = command
    const settings = { ...connectOptions(options), connectTimeout: CONNECT_MS }
    // A connection that is closed before CONNACK is told of, too.
    const client = await mqtt.connectAsync(urlOf(address, options.transport), settings, false)
    clients.set(key, client)
    client.on('error', () => {})
    client.once('close', () => {
      if (clients.get(key) === client) clients.delete(key)
      report({ type: 'closed', key })
    })
    return
  }
  const client = clients.get(key)
  if (!client) throw new Error(`no client ${key}`)
  if (command.type === 'publish') {
    await client.publishAsync(command.topic, command.payload, { qos: 1 })
  } else if (command.type === 'leave') {
    await client.endAsync()
  } else {
    client.stream.destroy()
  }
}

function report(message: Report): void {
  process.send?.(message)
}
