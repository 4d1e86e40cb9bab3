import { expect } from 'chai'
import fc from 'fast-check'
import { connectPeer } from '../../helpers/mqtt-peer.ts'
import { openHouseForTest } from './stranger.ts'
import { connectPackets, encode, laterPackets, type Version } from './valid-packets.ts'

/** Connections in one run of the property, and how often it is run. */
const STRANGERS = 12
const RUNS = 60

const versions = fc.constantFrom<Version>(3, 4, 5)

/** A change of some bytes. */
const mutations = fc.array(
  fc.record({
    kind: fc.constantFrom('flip', 'set', 'insert', 'remove', 'repeat'),
    at: fc.nat(10_000),
    value: fc.nat(255),
  }),
  { minLength: 1, maxLength: 4 },
)
type Mutation = typeof mutations extends fc.Arbitrary<readonly (infer T)[]> ? T : never

/** What somebody sends: a CONNECT and more, all valid. */
function sessions(version: Version): fc.Arbitrary<Buffer[]> {
  return fc
    .tuple(connectPackets(version), fc.array(laterPackets(version), { maxLength: 4 }))
    .map(([connect, later]) => [connect, ...later].map((packet) => encode(packet, version)))
}

function mutate(bytes: Buffer, { kind, at, value }: Mutation): Buffer {
  const position = at % Math.max(1, bytes.length)
  const before = bytes.subarray(0, position)
  const after = bytes.subarray(position + 1)
  const byte = bytes[position] ?? 0
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, Buffer.from([byte ^ (1 << (value % 8))]), after])
    case 'set':
      return Buffer.concat([before, Buffer.from([value]), after])
    case 'insert':
      return Buffer.concat([before, Buffer.from([value, byte]), after])
    case 'remove':
      return Buffer.concat([before, after])
    default:
      return Buffer.concat([
        bytes.subarray(0, position + 1),
        bytes.subarray(value % (position + 1)),
      ])
  }
}

describe('among strangers', function () {
  this.timeout(60_000)

  it('who sends only valid packets is let through', async () => {
    const house = await openHouseForTest()
    const sent = fc.constantFrom<Version>(3, 4, 5).chain(sessions)
    await fc.assert(
      fc.asyncProperty(sent, async (packets) => {
        const stranger = await house.connect()
        await stranger.send(Buffer.concat(packets))
        await stranger.untilPingAnswered()
        stranger.cut()
      }),
      { numRuns: 300 },
    )
    expect(refusedIn(house.broker.metrics())).to.deep.equal([])
  })

  it('who sends anything else hurts nobody', async () => {
    const house = await openHouseForTest()
    const neighbour = await connectPeer(house.broker.mqttPort ?? 0)
    await neighbour.subscribe([{ topic: 'neighbour/#', qos: 1 }])
    const strangers = fc.array(fc.tuple(versions.chain(sessions), mutations, fc.nat(30)), {
      minLength: STRANGERS,
      maxLength: STRANGERS,
    })
    let run = 0
    await fc.assert(
      fc.asyncProperty(strangers, async (all) => {
        const sends = all.map(async ([packets, changes, pieceBytes], i) => {
          const stranger = await house.connect(i % 4 === 0 ? 'websocket' : 'tcp')
          const bytes = changes.reduce(mutate, Buffer.concat(packets))
          await stranger.send(bytes, pieceBytes || Infinity)
          return stranger
        })
        const present = await Promise.all(sends)
        const topic = `neighbour/${run++}`
        neighbour.publish({ topic, qos: 1 })
        await neighbour.until(topic)
        for (const stranger of present) stranger.cut()
      }),
      { numRuns: RUNS },
    )
    const metrics = house.broker.metrics()
    expect(metrics['errors']).to.equal(0)
    expect(refusedIn(metrics).length).to.be.greaterThan(10)
  })
})

function refusedIn(metrics: Record<string, number>): string[] {
  const kinds = Object.entries(metrics).filter(([name]) => name.startsWith('refused_'))
  return kinds.filter(([, count]) => count > 0).map(([name]) => name)
}
