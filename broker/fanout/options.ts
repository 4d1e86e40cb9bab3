import type { Client } from 'aedes'
import type { AedesClient, EmittedPacket } from '../aedes-internals.ts'
import type { OutgoingQueue } from '../persistence/outgoing-queue.ts'
import type { Serves } from './shared-group.ts'
import { cutSlowReader } from './slow-readers.ts'

/** Options of the fan-out. */
export interface FanoutOptions {
  /**
   * Whether a client may get a message; asked once for each delivery: live, retained, or kept for a session.
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
  /** The queue of a session that outlives its connection. @default there are no such sessions */
  readonly queueOf?: (clientId: string) => OutgoingQueue | undefined
  /**
   * Keeps a message above QoS 0 for shared subscriptions of which nobody was there; the names of those with
   * somebody are given. @default such a message goes to nobody
   */
  readonly keepForAbsent?: (packet: EmittedPacket, served: ReadonlySet<string>) => void
  /**
   * Whether a message for a shared subscription is for a member of this broker; there may be others.
   * @default it is
   */
  readonly serves?: Serves
  /**
   * How many messages above QoS 0 may wait for the acknowledgements of a client in a clean session, of which
   * the oldest goes first. @default 1000
   */
  readonly maxQueued?: number
  /** Called when one goes. */
  readonly onDropped?: () => void
}

/** What an outbox goes by. */
export type OutboxPolicy = Pick<
  Required<FanoutOptions>,
  'mayRead' | 'queueOf' | 'maxQueued' | 'onDropped'
>

/** What holds where an option is not given. */
export const FANOUT_DEFAULTS: Required<FanoutOptions> = {
  mayRead: () => true,
  maxQueuedBytes: 8 * 1024 * 1024,
  onSlowReader: (client, queuedBytes) => cutSlowReader(client as AedesClient, queuedBytes),
  deliveriesPerTurn: 4096,
  queueOf: () => undefined,
  keepForAbsent: () => {},
  serves: () => true,
  maxQueued: 1000,
  onDropped: () => {},
}
