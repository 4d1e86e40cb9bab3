import { randomUUID } from 'node:crypto'
import type { IClientOptions } from 'mqtt'

/** The versions of MQTT by the number that CONNECT gives them. */
export const VERSIONS = { '3.1': 3, '3.1.1': 4, '5': 5 } as const

/** Where a program listens. */
export interface Address {
  readonly host: string
  readonly mqttPort: number
  readonly httpPort: number
}

/** Who connects, and how. Plain data, so that a process of its own can be told. */
export interface ClientOptions {
  /** The user name; none unless given. */
  readonly user?: string
  /** @default a random one */
  readonly clientId?: string
  /** @default '5' */
  readonly version?: keyof typeof VERSIONS
  /** @default 'tcp' */
  readonly transport?: 'tcp' | 'websocket'
  /** In seconds. @default 60 */
  readonly keepalive?: number
  readonly clean?: boolean
  readonly will?: { readonly topic: string; readonly payload: string; readonly retain?: boolean }
}

/** How mqtt.js is told where to connect and as whom. */
export function connectOptions(options: ClientOptions): IClientOptions & { clientId: string } {
  const { user, version = '5', keepalive = 60, clean = true, will } = options
  return {
    clientId: options.clientId ?? `client-${randomUUID()}`,
    protocolVersion: VERSIONS[version],
    protocolId: version === '3.1' ? 'MQIsdp' : 'MQTT',
    keepalive,
    clean,
    reconnectPeriod: 0,
    ...(user !== undefined && { username: user }),
    ...(!clean && version === '5' && { properties: { sessionExpiryInterval: 3600 } }),
    ...(will && {
      will: {
        topic: will.topic,
        payload: Buffer.from(will.payload),
        qos: 1,
        retain: will.retain ?? false,
      },
    }),
  }
}

/** The URL of one of a program's two ways in. */
export function urlOf(
  { host, mqttPort, httpPort }: Address,
  transport: ClientOptions['transport'],
): string {
  return transport === 'websocket' ? `ws://${host}:${httpPort}/mqtt` : `mqtt://${host}:${mqttPort}`
}
