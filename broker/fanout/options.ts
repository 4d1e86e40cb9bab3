import type { Client } from 'aedes'
import type { AedesClient, EmittedPacket } from '../aedes-internals.ts'
import { cutSlowReader } from './slow-readers.ts'

/** Options of the fan-out. */
export interface FanoutOptions {
  /**
   * Whether a client may get a message; asked once for each delivery. What Aedes sends by itself (retained
   * messages, what waited for a session) passes its own `authorizeForward`, which should ask the same.
   * @default everybody may
   */
  readonly mayRead?: (client: Client, packet: EmittedPacket) => boolean
  /** How many bytes may wait for one reader before it is cut. @default 8 MiB */
  readonly maxQueuedBytes?: number
  /**
   * What to do with a reader above the bound. The message that found it there is not sent to it, and
   * this is called again for the next one while it stays.
   * @default cuts the connection
   */
  readonly onSlowReader?: (client: Client, queuedBytes: number) => void
  /** How many deliveries are made before other work gets its turn. @default 4096 */
  readonly deliveriesPerTurn?: number
}

/** What holds where an option is not given. */
export const FANOUT_DEFAULTS: Required<FanoutOptions> = {
  mayRead: () => true,
  maxQueuedBytes: 8 * 1024 * 1024,
  onSlowReader: (client, queuedBytes) => cutSlowReader(client as AedesClient, queuedBytes),
  deliveriesPerTurn: 4096,
}
