import type { Client } from 'aedes'
import type { AedesClient, EmittedPacket, Notify, SeenPacket } from '../aedes-internals.ts'
import { versionOf } from '../retained/version.ts'
import { createOwners } from './adopt-client.ts'
import { createDelivery } from './delivery.ts'
import { createLanes } from './lanes.ts'
import { FANOUT_DEFAULTS, type FanoutOptions } from './options.ts'
import { Outbox } from './outbox.ts'
import { forEachListener, forEachReader } from './readers.ts'
import { takeSingleMessages } from './single-messages.ts'
import { createBrake } from './slow-readers.ts'
import { createSubscribers } from './subscribers.ts'
import { createWriteGatherer } from './write-gatherer.ts'

/** An emitter for Aedes' option `mq`: mqemitter's interface, and {@link FanoutEmitter.adopt}. */
export interface FanoutEmitter {
  /** Makes a new client's subscriptions the fan-out's; to be called in `preConnect`, for every client. */
  adopt(client: Client): void
  /** Whether a client's packet fits what it was sent: no acknowledgement of the wrong kind. */
  expects(client: Client, packet: SeenPacket): boolean
  /** The shared subscriptions that somebody has who is connected. */
  shared(): Iterable<string>
  /** Adds a listener under a filter. */
  on(filter: string, listener: Notify, done?: () => void): FanoutEmitter
  /** Removes a listener from a filter, at once. */
  removeListener(filter: string, listener: Notify, done?: () => void): FanoutEmitter
  /** Delivers a message. `done` tells that it was handed over, not that anybody has read it. */
  emit(packet: EmittedPacket, done?: (error?: Error) => void): FanoutEmitter
  /** Refuses what is emitted from now on. */
  close(done?: () => void): FanoutEmitter
}

/** How long a publisher is held back when a reader of its message is behind, in milliseconds. */
const BRAKE_MS = 5

/**
 * Creates the fan-out: each client gets a message once however many of its filters match, a QoS 0 message is
 * encoded once for all its readers, and nobody waits for one that does not read.
 */
export function createFanoutEmitter(options: FanoutOptions = {}): FanoutEmitter {
  const policy = { ...FANOUT_DEFAULTS, ...options }
  const { maxQueuedBytes, deliveriesPerTurn } = policy
  const owners = createOwners()
  const subscribers = createSubscribers()
  const lanes = createLanes(deliveriesPerTurn)
  const brake = createBrake(BRAKE_MS)
  const gatherer = createWriteGatherer()
  const createMessageDelivery = createDelivery(policy, gatherer)
  // One turn must not fill a reader's queue, which is sent only after it: large messages count for more.
  const bytesPerDelivery = maxQueuedBytes / 2 / deliveriesPerTurn
  const outboxes = new WeakMap<Client, Outbox>()
  let isClosed = false

  function fanOut(packet: EmittedPacket, done: (error?: Error) => void): number {
    const matched = subscribers.match(packet.topic)
    const delivery = createMessageDelivery(packet)
    const count = forEachReader(matched, packet, delivery.deliver, policy.serves)
    if (packet.qos > 0) policy.keepForAbsent(packet, delivery.served)
    brake(packet.clientId ?? '', delivery.isBehind, () => done(delivery.failure))
    // Last, because one that throws is a bug of its owner and must not cost anybody a message.
    forEachListener(matched, (listener) => listener(packet, noop))
    return 1 + count * (1 + packet.payload.length / bytesPerDelivery)
  }

  const emitter: FanoutEmitter = {
    adopt(anyClient) {
      const client = anyClient as AedesClient
      const reader = { client, outbox: new Outbox(client, policy, gatherer) }
      outboxes.set(client, reader.outbox)
      owners.adopt(reader)
      takeSingleMessages(reader, createMessageDelivery)
      client.once('connected', () => reader.outbox.start())
    },
    expects: (client, packet) => outboxes.get(client)?.expects(packet) ?? true,
    shared: () => subscribers.shared(),
    on(filter, listener, done) {
      subscribers.add(filter, owners.find(listener) ?? listener)
      done?.()
      return emitter
    },
    removeListener(filter, listener, done) {
      subscribers.remove(filter, owners.find(listener) ?? listener)
      // Not a turn later: Aedes forgets the subscription in `done`, and a SUBSCRIBE that came in the same
      // chunk as the UNSUBSCRIBE would be taken for one that changes nothing.
      done?.()
      return emitter
    },
    emit(packet, done = noop) {
      // Versions keep the order in which they were admitted, whichever bridge they are of.
      const lane = versionOf(packet) === undefined ? packet.clientId : undefined
      if (isClosed) process.nextTick(done, new Error('the fan-out is closed'))
      else lanes.run(lane ?? '', () => fanOut(packet, done))
      return emitter
    },
    close(done = noop) {
      isClosed = true
      setImmediate(done)
      return emitter
    },
  }
  return emitter
}

function noop(): void {}
