import {
  createMemoryStore,
  type BridgeOptions,
  type Link,
  type MqttLinkOptions,
  type RedisStoreOptions,
} from '../../bridge/index.ts'
import type { BrokerOptions } from '../../broker/index.ts'
import type { Parts } from '../../server/parts.ts'

/** Parts that tell in which order they are started and stopped, and with what. */
export interface FakeParts extends Parts {
  readonly calls: string[]
  ready: boolean
  broker?: BrokerOptions
  bridge?: BridgeOptions
  link?: MqttLinkOptions
  redis?: RedisStoreOptions
}

/** Creates parts that do nothing but tell, and that fail where `failing` names a call. */
export function createFakeParts(failing: Readonly<Record<string, Error>> = {}): FakeParts {
  const calls: string[] = []
  const call = async (name: string): Promise<void> => {
    calls.push(name)
    if (failing[name]) throw failing[name]
  }
  const link = {
    isLocal: true,
    readRetained: async () => [],
    open: () => call('link open'),
    publish: () => call('link publish'),
    close: () => call('link close'),
  } as const satisfies Link
  const parts: FakeParts = {
    calls,
    ready: true,
    async createBroker(options) {
      parts.broker = options
      await call('broker')
      return {
        id: 'fake',
        mqttPort: 4321,
        mqttsPort: null,
        setSecureContext: () => {},
        isConnected: true,
        kick: () => {},
        unload: () => true,
        link: () => link,
        metrics: () => ({ connections: 3, stale: 1 }),
        drain: () => call('broker drain'),
        close: () => call('broker close'),
      }
    },
    async createBridge(options) {
      parts.bridge = options
      await call('bridge')
      return {
        id: 'fake',
        get ready() {
          return parts.ready
        },
        metrics: () => ({ brokers: 2 }),
        onlineTime: async (user) => ({ user, onlineMs: 1000, sessions: [], complete: true }),
        roomAt: async (room) => ({ room, at: '', members: [], complete: true }),
        close: () => call('bridge close'),
      }
    },
    async createRedisStore(options) {
      parts.redis = options
      await call('redis')
      return createMemoryStore({ now: Date.now })
    },
    async connectMqttLink(options) {
      parts.link = options
      await call('link')
      return link
    },
  }
  return parts
}
