import type { Server } from 'node:http'
import type { Bridge, BridgeOptions, Link, MqttLinkOptions } from '../bridge/index.ts'
import type { DocumentLimits } from '../protocol/connection-document.ts'
import type { Logger } from '../runtime/logger.ts'

/** What the program needs of a broker. */
export interface Broker {
  readonly mqttPort: number | null
  link(): Link
  metrics(): Record<string, number>
  drain(): Promise<void>
  close(): Promise<void>
}

/** What the program tells a broker. */
export interface BrokerOptions {
  readonly id?: string
  readonly root: string
  readonly host: string
  readonly mqttPort: number
  readonly httpServer: Server
  readonly livenessTimeoutMs: number
  readonly keepaliveToleranceMs: number
  readonly documentLimits: Partial<DocumentLimits>
  readonly maxPacketSize: number
  readonly maxQueuedBytes: number
  readonly maxTopicLevels: number
  readonly logger: Logger
}

/** The parts that the program is composed of. */
export interface Parts {
  createBroker(options: BrokerOptions): Promise<Broker>
  createBridge(options: BridgeOptions): Promise<Bridge>
  /** Rejects when the broker cannot be reached. */
  connectMqttLink(options: MqttLinkOptions): Promise<Link>
}
