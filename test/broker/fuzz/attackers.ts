import { connect as connectTcp, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'
import type { Random } from '../../helpers/random.ts'
import { capture, captureConnect, mutate, topicBomb, type Version } from './captures.ts'

/** Does one thing to a broker, and says how many packets that were. */
export type Attack = (hand: Hand) => Promise<number>

/** What an attack works with. */
interface Hand {
  readonly random: Random
  dial(): Socket
  readonly version: Version
  readonly clientId: string
}

/** Opens sockets to a port, and keeps them from piling up. */
export function createDialer(port: number): { dial(): Socket; close(): Promise<void> } {
  const open = new Set<Socket>()
  return {
    dial() {
      const socket = connectTcp({ port, noDelay: true })
      open.add(socket)
      socket.on('error', () => {})
      socket.on('data', () => {})
      socket.once('close', () => open.delete(socket))
      for (const oldest of open) {
        if (open.size <= 60) break
        oldest.destroy()
        open.delete(oldest)
      }
      return socket
    },
    async close() {
      for (const socket of open) socket.destroy()
    },
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Resolves when a socket has taken what it was given, or has closed. */
function flushed(socket: Socket): Promise<void> {
  if (socket.destroyed || socket.writableLength === 0) return turn()
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.write(Buffer.alloc(0), done)
    socket.once('close', done)
  })
}

function packets(hand: Hand, count: number): Buffer[] {
  return Array.from({ length: count }, () => capture(hand.version, hand.random))
}

export const ATTACKS: Readonly<Record<string, Attack>> = {
  async 'valid packets in any order'(hand) {
    const socket = hand.dial()
    const all = packets(hand, 30)
    socket.write(Buffer.concat([captureConnect(hand.version, hand.clientId, hand.random), ...all]))
    await flushed(socket)
    return 1 + all.length
  },
  async 'mutated packets behind a valid CONNECT'(hand) {
    const { random } = hand
    const socket = hand.dial()
    const all = packets(hand, 20).map((each) => (random.chance(0.15) ? mutate(each, random) : each))
    socket.write(Buffer.concat([captureConnect(hand.version, hand.clientId, random), ...all]))
    await flushed(socket)
    return 1 + all.length
  },
  async 'mutated CONNECTs'(hand) {
    for (let i = 0; i < 10; i++) {
      const connect = captureConnect(hand.version, hand.clientId, hand.random)
      hand.dial().end(mutate(connect, hand.random))
    }
    await turn()
    return 10
  },
  async noise(hand) {
    const noise = Buffer.from(Array.from({ length: 200 }, () => hand.random.below(256)))
    const socket = hand.dial()
    if (hand.random.chance(0.5))
      socket.write(captureConnect(hand.version, hand.clientId, hand.random))
    socket.end(noise)
    await flushed(socket)
    return 2
  },
  async 'byte by byte'(hand) {
    const socket = hand.dial()
    const all = [captureConnect(hand.version, hand.clientId, hand.random), ...packets(hand, 3)]
    for (const byte of Buffer.concat(all)) {
      if (socket.destroyed) break
      socket.write(Buffer.from([byte]))
      if (hand.random.chance(0.05)) await turn()
    }
    return all.length
  },
  async 'half of a packet, and then nothing'(hand) {
    const socket = hand.dial()
    const bytes = Buffer.concat([
      captureConnect(hand.version, hand.clientId, hand.random),
      Buffer.from([0x30, 0xff, 0xff, 0x03]),
      Buffer.alloc(100),
    ])
    socket.write(bytes.subarray(0, hand.random.below(bytes.length)))
    await flushed(socket)
    return 2
  },
  async 'half-open: says that nothing more comes, and does not read'(hand) {
    const socket = hand.dial()
    socket.pause()
    const all = packets(hand, 10)
    socket.end(Buffer.concat([captureConnect(hand.version, hand.clientId, hand.random), ...all]))
    await flushed(socket)
    return 1 + all.length
  },
  async 'QoS 2 abuse'(hand) {
    const { random, version } = hand
    const socket = hand.dial()
    socket.write(captureConnect(version, hand.clientId, random))
    const all = Array.from({ length: 40 }, () => {
      const messageId = random.pick([1, 2, 3, 65_535])
      const cmd = random.pick(['publish', 'pubrec', 'pubrel', 'pubcomp'] as const)
      const publish = { topic: 'fuzz/a', payload: 'x', qos: 2, retain: false, dup: true } as const
      const packet = cmd === 'publish' ? { cmd, messageId, ...publish } : { cmd, messageId }
      return generate(packet, { protocolVersion: version })
    })
    socket.write(Buffer.concat(all))
    await flushed(socket)
    return 1 + all.length
  },
  async 'alias abuse'(hand) {
    const { random } = hand
    const socket = hand.dial()
    socket.write(captureConnect(5, hand.clientId, random))
    const all = Array.from({ length: 30 }, () => {
      const topic = random.chance(0.5) ? '' : `fuzz/${'y'.repeat(random.below(3000))}`
      const topicAlias = random.pick([1, 2, 50, 100, 101, 65_535])
      const flags = { payload: 'x', qos: 0, retain: false, dup: false } as const
      return generate(
        { cmd: 'publish', topic, ...flags, properties: { topicAlias } },
        { protocolVersion: 5 },
      )
    })
    for (const each of all) socket.write(each)
    await flushed(socket)
    return 1 + all.length
  },
  async 'topic bombs'(hand) {
    const socket = hand.dial()
    socket.write(captureConnect(hand.version, hand.clientId, hand.random))
    for (let i = 0; i < 3; i++) socket.write(topicBomb(hand.version, hand.random))
    await flushed(socket)
    return 4
  },
  async 'a storm of connects and resets'(hand) {
    for (let i = 0; i < 15; i++) {
      const socket = hand.dial()
      socket.write(captureConnect(hand.version, hand.clientId, hand.random))
      socket.once('connect', () => {
        const dice = hand.random.next()
        if (dice < 0.5) socket.resetAndDestroy()
        else if (dice < 0.75) setImmediate(() => socket.destroy())
      })
    }
    await turn()
    return 15
  },
}
