import { connectMqttLink, createBridge, createRedisStore } from '../bridge/index.ts'
import { createBroker } from '../broker/index.ts'
import type { Parts } from './parts.ts'

/** The parts that the program is really composed of. */
export const realParts: Parts = {
  createBroker,
  createBridge,
  createRedisStore,
  connectMqttLink,
}
