// The process that bridge-process.ts starts.
import { connectMqttLink, createBridge, createRedisStore } from '../../bridge/index.ts'
import type { BridgeSetup } from './bridge-process.ts'

async function run(setup: BridgeSetup): Promise<void> {
  const { broker, redis, ...options } = setup
  const store = await createRedisStore({ url: redis })
  const link = await connectMqttLink({ url: broker, clientId: `bridge-${setup.id}` })
  const log = (fields: object, message: string): void => {
    const cause = 'err' in fields ? fields.err : fields
    if (process.env['BRIDGE_LOG']) console.error(setup.id, message, cause)
  }
  const logger = { debug() {}, info: log, warn: log, error: log }
  const bridge = await createBridge({ ...options, link, store, logger })
  process.on('message', () => process.send?.({ ...bridge.metrics(), ready: bridge.ready ? 1 : 0 }))
  process.on('disconnect', () => process.exit())
  process.on('SIGTERM', () => {
    void bridge.close().then(() => process.exit())
  })
}

await run(JSON.parse(process.argv[2] ?? '') as BridgeSetup)
