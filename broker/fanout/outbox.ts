import type { QoS } from 'mqtt-packet'
import { generate } from 'mqtt-packet'
import {
  continueMessageIds,
  nextMessageId,
  watchPackets,
  type AedesClient,
  type EmittedPacket,
  type SeenPacket,
} from '../aedes-internals.ts'
import { OutgoingQueue, type QueuedMessage } from '../persistence/outgoing-queue.ts'
import { canReceive } from './can-receive.ts'
import type { Grant } from './grant.ts'
import { createMessage, type Message, type Variant } from './message.ts'
import type { OutboxPolicy } from './options.ts'
import type { WriteGatherer } from './write-gatherer.ts'

/** What a client has to answer next. */
type Owed = 'puback' | 'pubrec' | 'pubcomp'

/** Version 5: from here on a reason code is one of failure. */
const FAILURE = 0x80

/** Of what waited for a session, so much is given to the socket before it must have taken it, in bytes. */
const BACKLOG_BYTES = 256 * 1024

/**
 * What one connection is sent above QoS 0. No more than the client is ready to receive is on its way
 * [MQTT-3.3.4-9], under ids that are not in use [MQTT-2.2.1-4]; the rest waits, in order.
 */
export class Outbox {
  readonly #client: AedesClient
  readonly #policy: OutboxPolicy
  readonly #gatherer: WriteGatherer
  /** The ids that the client has not acknowledged, with what it owes for them. */
  readonly #inFlight = new Map<number, Owed>()
  /** A session's messages; in a clean one only what waits, and only when something does. */
  #queue: OutgoingQueue | undefined
  #isOfSession = false
  #isStarted = false
  /** Whether what waited while the client was away is not all sent yet. */
  #hasBacklog = false
  #isPaused = false

  constructor(client: AedesClient, policy: OutboxPolicy, gatherer: WriteGatherer) {
    this.#client = client
    this.#policy = policy
    this.#gatherer = gatherer
    continueMessageIds(client, 0)
    watchPackets(client, ({ cmd, messageId, reasonCode }) => {
      if (messageId === undefined || !this.#inFlight.has(messageId)) return
      if (cmd === 'pubrec' && (reasonCode ?? 0) < FAILURE) {
        this.#inFlight.set(messageId, 'pubcomp')
      } else if (cmd === 'puback' || cmd === 'pubrec' || cmd === 'pubcomp') {
        this.#inFlight.delete(messageId)
        this.#pump()
      }
    })
  }

  /**
   * Whether a packet may come now: an acknowledgement of another kind than the message's QoS and turn demand
   * is an error (4.3.2, 4.3.3). One of an id that is not in use comes from a client that has missed something.
   */
  expects({ cmd, messageId = 0 }: SeenPacket): boolean {
    if (cmd !== 'puback' && cmd !== 'pubrec' && cmd !== 'pubcomp') return true
    const owed = this.#inFlight.get(messageId)
    // PUBREC again, from who has not heard of its PUBREL.
    return owed === undefined || owed === cmd || (owed === 'pubcomp' && cmd === 'pubrec')
  }

  /** Whether a message given now leaves now. */
  get isOpen(): boolean {
    return this.#inFlight.size < this.#client.receiveMaximum && !this.#queue?.isReady
  }

  /** Sends what waits for the session; to be called when CONNACK has been sent. Idempotent. */
  start(): void {
    const client = this.#client
    if (this.#isStarted || !canReceive(client)) return
    this.#isStarted = true
    const queue = this.#policy.queueOf(client.id)
    if (!queue) return
    this.#queue = queue
    this.#isOfSession = true
    queue.open(this)
    // What was dropped in the middle of its delivery must not be taken for what comes now.
    continueMessageIds(client, queue.lastId)
    this.#hasBacklog = queue.isReady
    client.conn.once('close', () => queue.close(this))
    this.#pump()
  }

  /**
   * Sends a message above QoS 0 now or when it is its turn.
   *
   * @param isStored whether Aedes has put a copy into the session's queue: then it is sent from there, once
   */
  send(
    packet: EmittedPacket,
    grant: Grant,
    qos: QoS,
    isStored: boolean,
    message: Message = createMessage(packet),
  ): void {
    this.start()
    const retain = packet.retain && grant.retainAsPublished
    const terms = { qos, retain, identifiers: grant.identifiers }
    const queue = this.#queue
    if (!queue && this.#inFlight.size < this.#client.receiveMaximum) {
      const variant = { ...terms, version5: this.#client.version === 5 }
      this.#write(message, variant, qos as 1 | 2, this.#takeId(), false)
      return
    }
    if (queue?.release(packet, terms)) return this.#pump()
    // Not there any more: it was sent before it was emitted, when the client came back.
    if (isStored && this.#isOfSession) return
    const waiting = (this.#queue ??= this.#createWaiting())
    waiting.add(packet, { qos })
    waiting.release(packet, terms)
    this.#pump()
  }

  /** A stored message is not to be sent after all. */
  withdraw(packet: EmittedPacket): void {
    const queue = this.#queue ?? this.#policy.queueOf(this.#client.id)
    queue?.remove(packet)
  }

  /** Sends while the client is ready for more. */
  #pump(): void {
    const client = this.#client
    const queue = this.#queue
    while (queue?.isReady && !this.#isPaused && canReceive(client)) {
      if (this.#inFlight.size >= client.receiveMaximum) return
      const isMuch = this.#hasBacklog && client.conn.writableLength > BACKLOG_BYTES
      if (isMuch) return this.#pause()
      const packet = queue.next()
      if (packet?.cmd === 'pubrel') this.#repeatPubrel(packet.messageId)
      else if (packet) this.#sendQueued(queue, packet)
    }
    if (!queue?.isReady) this.#hasBacklog = false
  }

  #sendQueued(queue: OutgoingQueue, packet: QueuedMessage): void {
    const client = this.#client
    const { qos, retain, identifiers, dup, messageExpiry } = packet
    const hasExpired = messageExpiry !== undefined && messageExpiry <= Date.now()
    const mayRead = this.#policy.mayRead(client, packet as EmittedPacket)
    if (hasExpired || !mayRead || qos === 0) {
      queue.remove(packet)
      return
    }
    const messageId = packet.messageId ?? this.#takeId()
    if (this.#isOfSession) queue.update({ ...packet, messageId })
    else queue.remove(packet)
    const variant = { version5: client.version === 5, retain, identifiers }
    const message = createMessage(packet as EmittedPacket)
    if (!this.#write(message, variant, qos, messageId, dup)) queue.remove({ messageId })
  }

  /** False when the client does not take messages of this size; one counts as delivered [MQTT-3.1.2-25]. */
  #write(message: Message, variant: Variant, qos: 1 | 2, messageId: number, dup: boolean): boolean {
    const client = this.#client
    const bytes = message.numbered(variant, qos, messageId, dup)
    if (!bytes || bytes.length > (client.maximumPacketSize ?? Infinity)) return false
    this.#inFlight.set(messageId, qos === 1 ? 'puback' : 'pubrec')
    this.#gatherer.write(client.conn, bytes)
    return true
  }

  #repeatPubrel(messageId: number): void {
    this.#inFlight.set(messageId, 'pubcomp')
    const protocolVersion = this.#client.version === 5 ? 5 : 4
    this.#gatherer.write(
      this.#client.conn,
      generate({ cmd: 'pubrel', messageId }, { protocolVersion }),
    )
  }

  /** Waits until the socket has taken what it was given. */
  #pause(): void {
    this.#isPaused = true
    this.#client.conn.write(Buffer.alloc(0), () => {
      this.#isPaused = false
      this.#pump()
    })
  }

  #takeId(): number {
    let id = nextMessageId(this.#client)
    while (this.#inFlight.has(id) || this.#queue?.hasId(id)) id = nextMessageId(this.#client)
    return id
  }

  #createWaiting(): OutgoingQueue {
    const waiting = new OutgoingQueue(this.#policy.maxQueued, this.#policy.onDropped)
    waiting.open(this)
    return waiting
  }
}
