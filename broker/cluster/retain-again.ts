import type { EmittedPacket } from '../aedes-internals.ts'
import type { MemoryPersistence } from '../persistence/memory-persistence.ts'
import { setVersion } from '../retained/version.ts'
import { AGAIN, encodeMessage } from './entries.ts'
import type { NewEntry } from './log-writer.ts'

const NOTHING = Buffer.alloc(0)

/**
 * What tells Redis again what is retained here on a topic, or that nothing is.
 *
 * @param unlessSince void when somebody has told it something after the entry of this number
 */
export function retainAgain(
  store: MemoryPersistence,
  broker: string,
  topic: string,
  unlessSince: number,
): NewEntry {
  const { payload = NOTHING, qos = 0, properties, messageExpiry } = store.retainedOn(topic) ?? {}
  const packet: EmittedPacket = {
    cmd: 'publish',
    topic,
    payload,
    qos,
    retain: true,
    dup: false,
    brokerId: broker,
    brokerCounter: AGAIN,
    ...(properties !== undefined && { properties }),
    ...(messageExpiry !== undefined && { messageExpiry }),
  }
  const version = store.versionOn(topic)
  if (version !== undefined) setVersion(packet, version)
  return { ...encodeMessage(packet), retainedOn: topic, clears: payload.length === 0, unlessSince }
}
