import mqtt from 'mqtt'
import { describeDisconnect, isTokenExpiry } from '../core/index.ts'

/** What a connection starts with. */
export interface MqttOptions {
  readonly url: string
  readonly clientId: string
  readonly username: string | null
  readonly password: string | null
  readonly keepaliveS: number
  readonly protocolVersion: 4 | 5
  readonly will: { readonly topic: string; readonly payload: string } | null
}

/** What it tells; after `onClosed` or `onRefused` nothing more. */
export interface MqttHandlers {
  onOpened(): void
  onRefused(code: number): void
  onClosed(message: string, tokenExpired: boolean): void
  onMessage(topic: string, payload: Uint8Array, retain: boolean): void
}

/** One MQTT connection, from its socket to its end. It does not come back by itself. */
export interface MqttConnection {
  /** Resolves when it is sent (QoS 0), or when the broker has it (QoS 1). */
  publish(topic: string, payload: string | Uint8Array, qos: 0 | 1, retain: boolean): Promise<void>
  /** Resolves to false when the broker refuses. */
  subscribe(filter: string): Promise<boolean>
  unsubscribe(filter: string): void
  /** Says goodbye, for a second at most, and closes. */
  disconnect(): Promise<void>
  /** Closes without a word. */
  abandon(): void
}

const GOODBYE_MS = 1000

/** Opens a connection. What goes wrong is told by a handler, never thrown. */
export function openMqtt(options: MqttOptions, handlers: MqttHandlers): MqttConnection {
  const { url, clientId, username, password, keepaliveS, protocolVersion, will } = options
  const client = mqtt.connect(url, {
    clientId,
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(will && { will: { ...will, payload: will.payload as never, qos: 1, retain: false } }),
    keepalive: keepaliveS,
    protocolVersion,
    clean: true,
    // When and whether to try again is the machine's to say, with a new token each time.
    reconnectPeriod: 0,
    connectTimeout: 86_400_000,
    // The default starts a worker for its timers; here they are a worker's own, and no blob is needed.
    timerVariant: 'native',
    resubscribe: false,
  })
  let trouble = 'the connection closed'
  let tokenExpired = false
  let over = false

  function finish(tell: () => void): void {
    if (over) return
    over = true
    client.end(true)
    tell()
  }

  client.on('connect', () => {
    if (!over) handlers.onOpened()
  })
  client.on('message', (topic: string, payload: Uint8Array, packet: { retain?: boolean }) => {
    if (!over) handlers.onMessage(topic, payload, packet.retain === true)
  })
  client.on('error', (error: Error & { code?: unknown }) => {
    const { code } = error
    // A refused CONNACK comes with its code as a number; a broken socket with none, or a name.
    if (typeof code === 'number') finish(() => handlers.onRefused(code))
    else trouble = error.message
  })
  client.on('disconnect', ({ reasonCode = 0 }) => {
    trouble = describeDisconnect(reasonCode)
    tokenExpired = isTokenExpiry(reasonCode)
  })
  client.on('close', () => finish(() => handlers.onClosed(trouble, tokenExpired)))

  return {
    publish: (topic, payload, qos, retain) =>
      new Promise((resolve, reject) => {
        client.publish(topic, payload as never, { qos, retain }, (error) => {
          if (error) reject(error)
          else resolve()
        })
      }),
    subscribe: (filter) =>
      new Promise((resolve) => {
        client.subscribe(filter, { qos: 1 }, (error, granted) => {
          resolve(!error && (granted?.[0]?.qos ?? 128) < 128)
        })
      }),
    unsubscribe(filter) {
      client.unsubscribe(filter, () => {})
    },
    async disconnect() {
      if (over) return
      over = true
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, GOODBYE_MS)
        client.end(false, {}, () => {
          clearTimeout(timer)
          resolve()
        })
      })
      client.end(true)
    },
    abandon() {
      over = true
      client.end(true)
    },
  }
}
