import {
  createTopics,
  formatConnectionDocument,
  type ConnectionDocument,
} from '../../protocol/index.ts'
import { samePresence, type Presence, type SessionOptions } from '../core/index.ts'
import { connectionId, randomId } from './ids.ts'
import type { MqttConnection } from './mqtt-connection.ts'
import type { Surroundings } from './port.ts'

/** Says on the input plane what becomes of this client. */
export interface Speaker {
  /** For whom it speaks. */
  readonly user: string
  /** Whether it says, or is about to, that it is in the room. */
  isIn(room: string): boolean
  /** What the broker publishes of a connection that is about to be opened, when it ends without a word. */
  nextWill(): { readonly topic: string; readonly payload: string } | null
  connected(connection: MqttConnection): void
  lost(): void
  /** Says it unless it has been said; at most 20 times a second. */
  say(presence: Presence): void
  /** Says it again, which does no harm; resolves when the broker has it. */
  repeat(): Promise<void>
  /** The last page is going, and may be back at once. */
  sayUnload(): void
  /** All pages have gone without a word. */
  sayClosed(): void
  /** What a broker that speaks for nobody has to be told before DISCONNECT. */
  sayLeft(): Promise<void>
  /** By which the server knows this connection's unload hint over HTTP; new after each hint. */
  readonly unloadKey: string | null
}

/** Options of {@link createSpeaker}. */
export interface SpeakerOptions {
  readonly session: SessionOptions
  readonly client: string
  /** Whether the timers that keep this connection alive are never throttled. */
  readonly isPunctual: boolean
  readonly world: Surroundings
}

/** The shortest time between two documents, in milliseconds; the bridge batches at the same pace. */
const PACE_MS = 50

/** Creates a speaker that has nothing to say yet. */
export function createSpeaker({ session, client, isPunctual, world }: SpeakerOptions): Speaker {
  const { root, foreign, grace } = session
  const user = session.user ?? client
  const topic = createTopics(root).connection(user, client)
  let connection: MqttConnection | null = null
  let id: string | null = null
  let seq = 0
  let unloadKey: string | null = null
  let wanted: Presence | null = null
  let said: Presence | null = null
  let cancelPace: (() => void) | null = null

  /** A document: numbered, and named where no broker of ours does it. */
  function format(document: ConnectionDocument): string {
    const own = foreign && id !== null ? { connection: id } : {}
    return formatConnectionDocument({ ...document, ...own, seq: seq++ })
  }

  function describe({ status, rooms, data }: Presence): ConnectionDocument {
    return {
      status,
      rooms,
      ...(data !== undefined && { data }),
      ...(isPunctual && { tolerance: 0 }),
      ...(grace && { grace }),
      ...(unloadKey !== null && { unloadKey }),
    }
  }

  async function publish(document: ConnectionDocument, qos: 0 | 1): Promise<void> {
    await connection?.publish(topic, format(document), qos, false)
  }

  function publishQuietly(document: ConnectionDocument, qos: 0 | 1): void {
    // What is lost with the connection is said again on the next one.
    publish(document, qos).catch(() => {})
  }

  function flush(): void {
    cancelPace?.()
    cancelPace = null
    if (!connection || !wanted || (said && samePresence(said, wanted))) return
    said = wanted
    publishQuietly(describe(wanted), 1)
    cancelPace = world.after(PACE_MS, flush)
  }

  function fallSilent(document: ConnectionDocument, qos: 0 | 1): Promise<void> {
    cancelPace?.()
    cancelPace = null
    wanted = null
    said = null
    const sent = publish(document, qos)
    // A hint that is still on its way must not hit what is said after a return.
    unloadKey = foreign ? null : randomId(32)
    return sent
  }

  return {
    user,
    isIn: (room) => wanted !== null && wanted.rooms.has(room),
    get unloadKey() {
      return unloadKey
    },
    nextWill() {
      if (!foreign) return null
      id = connectionId(world.now())
      const payload = formatConnectionDocument({
        status: 'offline',
        reason: 'closed',
        connection: id,
      })
      return { topic, payload }
    },
    connected(next) {
      connection = next
      seq = 0
      said = null
      unloadKey = foreign ? null : randomId(32)
      flush()
    },
    lost() {
      connection = null
      said = null
    },
    say(presence) {
      wanted = presence
      if (!cancelPace) flush()
    },
    async repeat() {
      if (wanted) await publish(describe(wanted), 1)
    },
    sayUnload() {
      fallSilent({ status: 'offline', reason: 'unload' }, 0).catch(() => {})
    },
    sayClosed() {
      fallSilent({ status: 'offline' }, 0).catch(() => {})
    },
    async sayLeft() {
      const sent = fallSilent({ status: 'offline', reason: 'left' }, 1)
      if (foreign) await sent
    },
  }
}
