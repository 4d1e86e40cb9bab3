import {
  handOver,
  noteDisconnectReason,
  reportDone,
  takeOverReading,
  type AedesClient,
} from '../aedes-internals.ts'
import { judgeFit, type Expects } from './fit.ts'
import { DISCONNECT, SUBSCRIBE, UNSUBSCRIBE, type FixedHeader } from './fixed-header.ts'
import { PacketCutter, type SizeLimits } from './packet-cutter.ts'
import { PacketReader } from './packet-reader.ts'
import { decode, type DecodeContext } from './packets/decode.ts'
import { KEEPALIVE_TIMEOUT, refusingConnack, refusingDisconnect, type Refusal } from './refusal.ts'
import { TopicAliases } from './topic-aliases.ts'

/** What an entrance goes by. */
export interface EntrancePolicy extends SizeLimits {
  readonly connectTimeoutMs: number
  readonly packetTimeoutMs: number
  readonly maxTopicLevels: number
  readonly topicAliasMaximum: number
  /** Whether a packet fits what its client was sent. */
  readonly expects: Expects
  /** The client has sent a packet, or goes on sending a large one. */
  readonly onHeard: (client: AedesClient) => void
  /** The connection is about to be closed. */
  readonly onRefused: (client: AedesClient, refusal: Refusal) => void
  /** Asks for {@link Entrance.tick} until that returns false. */
  readonly watch: (entrance: Entrance) => void
}

type Phase =
  /** No CONNECT yet. */
  | 'arriving'
  /** Aedes is at the CONNECT; what comes behind it waits. */
  | 'connecting'
  | 'open'
  /** The last word is on its way to the client; what still comes is dropped. */
  | 'refused'

/**
 * How much Aedes is given before it has to be through with all of it, and others have had their turn: a
 * chunk may have room for 30,000 packets.
 */
const BATCH_BYTES = 64 * 1024
const BATCH_PACKETS = 512

/** So much of a large packet counts as a sign of life, in bytes. */
const PROGRESS_BYTES = 1024

/** The pace at which a packet must come once its time is over, in bytes for each millisecond. */
const PACE = 1

/** How long a refused client may take to read why and to close, in milliseconds. */
const FAREWELL_MS = 2000

// One for all, since a packet is decoded in one go.
const reader = new PacketReader()

/**
 * The way of one connection's packets to Aedes: cut out of the stream, checked, decoded, and handed over
 * when Aedes is ready for them. What has to wait is put back into the stream: its bound then holds the
 * sender back, and its end does not overtake the last packet.
 */
export class Entrance {
  readonly #client: AedesClient
  readonly #policy: EntrancePolicy
  readonly #cutter: PacketCutter
  readonly #context: { -readonly [K in keyof DecodeContext]: DecodeContext[K] }
  #phase: Phase = 'arriving'
  #isReading = false
  /** How many packets Aedes is at, and what it was given since it was last through with all. */
  #inFlight = 0
  #batchPackets = 0
  #batchBytes = 0
  /** Whether the packet that Aedes is at is to be done before the next one begins. */
  #isAlone = false
  /** Whether the next packet waits for Aedes to be through. */
  #mustWait = false
  /** How long this has waited for the CONNECT, for the rest of a packet, or for the farewell. */
  #waitedMs = 0
  /** How much of an unfinished packet there was at its last sign of life. */
  #heardBytes = 0

  constructor(client: AedesClient, policy: EntrancePolicy) {
    this.#client = client
    this.#policy = policy
    this.#cutter = new PacketCutter(policy)
    this.#context = {
      maxTopicLevels: policy.maxTopicLevels,
      aliases: new TopicAliases(policy.topicAliasMaximum),
      isSessionKept: false,
    }
    takeOverReading(client, (error) => this.#onReady(error))
    client.conn.on('readable', () => this.#read())
    policy.watch(this)
  }

  /** Counts time in which nothing was missed; false when there is nothing to wait for. */
  tick(ms: number): boolean {
    const { conn } = this.#client
    const { connectTimeoutMs, packetTimeoutMs } = this.#policy
    const { unfinishedLength } = this.#cutter
    if (conn.destroyed) return false
    switch (this.#phase) {
      case 'arriving':
        this.#waitedMs += ms
        if (this.#waitedMs > connectTimeoutMs) this.#refuse(NO_CONNECT)
        return true
      case 'connecting':
      case 'open':
        if (unfinishedLength === 0) return false
        // While nobody reads it is not the sender's fault.
        if (!this.#isHeld) this.#waitedMs += ms
        if (this.#waitedMs > packetTimeoutMs + unfinishedLength / PACE) this.#refuse(NO_END)
        return true
      case 'refused':
        this.#waitedMs += ms
        if (this.#waitedMs > FAREWELL_MS) conn.destroy()
        return true
    }
  }

  get #isHeld(): boolean {
    if (this.#phase === 'open') return this.#mustWait || this.#isFull
    return this.#phase === 'connecting'
  }

  get #isFull(): boolean {
    return this.#batchPackets >= BATCH_PACKETS || this.#batchBytes >= BATCH_BYTES
  }

  #read(): void {
    // Aedes may be done with a packet before it has returned from taking it.
    if (this.#isReading) return
    this.#isReading = true
    const { conn } = this.#client
    const cutter = this.#cutter
    let isHeard = false
    while (!conn.destroyed && !this.#isHeld) {
      const header = cutter.next()
      if (header) {
        this.#mustWait = this.#hasToWait(header.type)
        if (this.#mustWait) break
        this.#admit(header)
        isHeard = true
      } else if (cutter.refusal && this.#phase !== 'refused') {
        this.#refuse(cutter.refusal)
      } else {
        const chunk = conn.read() as Buffer | null
        if (!chunk) break
        if (this.#phase !== 'refused') cutter.feed(chunk)
      }
    }
    this.#isReading = false
    this.#noteProgress(isHeard)
    if (conn.destroyed || !this.#isHeld) return
    cutter.giveBack(conn)
    // A stream tells its end to those who read. When nothing waits, nothing can be overtaken.
    if (conn.readableLength === 0) conn.read(0)
  }

  #hasToWait(type: number): boolean {
    // Nothing waits but SUBSCRIBE and UNSUBSCRIBE, for what came before them, and what comes after them: Aedes
    // would do them at the same time, and find a message both live and retained. A DISCONNECT never waits:
    // a client that has said goodbye need not stay for the answers.
    if (this.#inFlight === 0 || type === DISCONNECT) return false
    return this.#isAlone || type === SUBSCRIBE || type === UNSUBSCRIBE
  }

  #admit(header: FixedHeader): void {
    const cutter = this.#cutter
    const { type, neededBytes } = header
    cutter.take(header, reader)
    const packet = decode(reader, header, this.#context)
    cutter.version = reader.version
    if ('kind' in packet) return this.#refuse(packet)
    const misfit = judgeFit(packet, this.#client, this.#policy.expects)
    if (misfit) return this.#refuse(misfit)
    if (packet.cmd === 'connect') {
      this.#context.isSessionKept = Boolean(packet.properties?.['sessionExpiryInterval'])
      this.#phase = 'connecting'
    } else {
      this.#inFlight++
      this.#batchPackets++
      this.#batchBytes += neededBytes
      this.#isAlone = type === SUBSCRIBE || type === UNSUBSCRIBE
    }
    handOver(this.#client, packet)
  }

  /** Tells the sweep and the clock of an unfinished packet. */
  #noteProgress(hasPackets: boolean): void {
    const { unfinishedLength } = this.#cutter
    let isHeard = hasPackets
    if (unfinishedLength === 0) {
      this.#heardBytes = 0
    } else if (hasPackets || this.#heardBytes === 0) {
      this.#heardBytes = unfinishedLength
      if (this.#phase !== 'arriving') this.#waitedMs = 0
      this.#policy.watch(this)
    } else if (unfinishedLength - this.#heardBytes >= PROGRESS_BYTES) {
      this.#heardBytes = unfinishedLength
      isHeard = true
    }
    if (isHeard) this.#policy.onHeard(this.#client)
  }

  /** Aedes is through with CONNECT, or has answered it and now takes what came behind it. */
  #onReady(error: Error | null | undefined): void {
    const client = this.#client
    if (error) {
      client.emit('error', error)
    } else if (this.#phase === 'connecting' && client.connackSent) {
      this.#phase = 'open'
      reportDone(client, (failure) => this.#onDone(failure))
      // Not before Aedes has begun to send what was stored for the session.
      process.nextTick(() => this.#read())
    }
  }

  /** Aedes is through with a packet. */
  #onDone(error: Error | null | undefined): void {
    if (this.#phase !== 'open') return
    if (error) {
      this.#client.emit('error', error)
      return
    }
    if (this.#inFlight > 0) this.#inFlight--
    if (this.#inFlight > 0) return
    if (this.#isFull) setImmediate(() => this.#goOn())
    else this.#goOn()
  }

  #goOn(): void {
    const wasHeld = this.#isHeld
    this.#batchPackets = 0
    this.#batchBytes = 0
    this.#isAlone = false
    this.#mustWait = false
    if (wasHeld) this.#read()
  }

  /** Closes the connection, with a word where the specification has one. */
  #refuse(refusal: Refusal): void {
    const client = this.#client
    const { conn } = client
    const { version } = this.#cutter
    const isOpen = this.#phase === 'open'
    const word = isOpen ? refusingDisconnect(version, refusal) : refusingConnack(version, refusal)
    this.#phase = 'refused'
    this.#waitedMs = 0
    this.#cutter.clear()
    this.#policy.onRefused(client, refusal)
    if (!word) {
      conn.destroy()
      return
    }
    if (isOpen) noteDisconnectReason(client, refusal.reasonCode)
    // A socket that is closed with something unread takes the last word back; so that is read, and dropped.
    conn.end(word)
    this.#policy.watch(this)
    this.#read()
  }
}

const NO_CONNECT: Refusal = { kind: 'connect_timeout', reasonCode: KEEPALIVE_TIMEOUT }
const NO_END: Refusal = { kind: 'packet_timeout', reasonCode: KEEPALIVE_TIMEOUT }
