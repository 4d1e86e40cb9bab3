import type {
  Bridge,
  BridgeOptions,
  Link,
  MqttLinkOptions,
  RedisStoreOptions,
  Store,
} from '../bridge/index.ts'
import type { Broker, BrokerOptions } from '../broker/index.ts'

/** The parts that the program is composed of. */
export interface Parts {
  createBroker(options: BrokerOptions): Promise<Broker>
  createBridge(options: BridgeOptions): Promise<Bridge>
  /** Rejects when Redis cannot be reached. */
  createRedisStore(options: RedisStoreOptions): Promise<Store>
  /** Rejects when the broker cannot be reached. */
  connectMqttLink(options: MqttLinkOptions): Promise<Link>
}
