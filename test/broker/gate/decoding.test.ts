import { expect } from 'chai'
import fc from 'fast-check'
import { parser, type Packet } from 'mqtt-packet'
import { PacketCutter } from '../../../broker/gate/packet-cutter.ts'
import { PacketReader } from '../../../broker/gate/packet-reader.ts'
import { decode } from '../../../broker/gate/packets/decode.ts'
import { TopicAliases } from '../../../broker/gate/topic-aliases.ts'
import {
  connectPackets,
  disconnectPackets,
  encode,
  laterPackets,
  type Version,
} from './valid-packets.ts'

const LIMITS = { maxPacketSize: 1_000_000, maxConnectSize: 1_000_000 }

/** Cuts and decodes what comes in chunks. */
function createDecoder() {
  const cutter = new PacketCutter(LIMITS)
  const reader = new PacketReader()
  const context = { maxTopicLevels: 100, aliases: new TopicAliases(10), isSessionKept: true }
  return (chunk: Buffer): unknown[] => {
    const packets: unknown[] = []
    cutter.feed(chunk)
    for (let header = cutter.next(); header; header = cutter.next()) {
      cutter.take(header, reader)
      const packet = decode(reader, header, context)
      if ('kind' in packet) throw new Error(`refused: ${packet.kind}`)
      cutter.version = reader.version
      packets.push(packet)
    }
    if (cutter.refusal) throw new Error(`refused: ${cutter.refusal.kind}`)
    return packets
  }
}

/** A packet without what mqtt-packet says of every packet, whether it has it or not. */
function essence(packet: object): object {
  const { cmd } = packet as Packet
  const fields = Object.entries(packet).filter(([name, value]) => {
    if (cmd !== 'publish' && ['qos', 'dup', 'retain'].includes(name)) return false
    return value !== null && value !== undefined
  })
  return Object.fromEntries(fields.map(([name, value]) => [name, plain(value)]))
}

/** Without prototypes, of which some have one and some have none. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_name, one: unknown) =>
      typeof one === 'number' || typeof one === 'boolean' ? String(one) : one,
    ),
  )
}

function asParsed(all: Buffer, version: Version): object[] {
  const packets: object[] = []
  const reference = parser({ protocolVersion: version })
  reference.on('packet', (packet) => packets.push(essence(packet)))
  reference.on('error', (error) => {
    throw error
  })
  reference.parse(all)
  return packets
}

describe('decoding', () => {
  for (const version of [3, 4, 5] as const) {
    const streams = fc
      .tuple(
        connectPackets(version),
        fc.array(laterPackets(version), { maxLength: 5 }),
        disconnectPackets(version),
      )
      .map(([connect, later, disconnect]) => [connect, ...later, disconnect])
      .map((packets) => Buffer.concat(packets.map((packet) => encode(packet, version))))

    it(`of level ${version} finds in valid packets what mqtt-packet finds in them`, () => {
      fc.assert(
        fc.property(streams, (all) => {
          const packets = createDecoder()(all)
          expect(packets.map((packet) => essence(packet as object))).to.deep.equal(
            asParsed(all, version),
          )
        }),
        { numRuns: 400 },
      )
    })

    it(`of level ${version} finds the same wherever the bytes are split`, () => {
      fc.assert(
        fc.property(streams, (all) => {
          const whole = createDecoder()(all)
          for (let at = 1; at < all.length; at++) {
            const decoder = createDecoder()
            const packets = [all.subarray(0, at), all.subarray(at)].flatMap((part) => decoder(part))
            expect(packets).to.deep.equal(whole)
          }
          const decoder = createDecoder()
          const byByte = [...all].flatMap((byte) => decoder(Buffer.from([byte])))
          expect(byByte).to.deep.equal(whole)
        }),
        { numRuns: 10 },
      )
    })
  }
})
