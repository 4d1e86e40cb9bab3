import { expect } from 'chai'
import { ARRIVALS } from './arrivals.ts'
import { connectOf } from './bytes.ts'
import type { Case } from './cases.ts'
import { IN_BOTH } from './packets-of-both.ts'
import { ONLY_IN_31, ONLY_IN_311, ONLY_IN_5 } from './packets-of-one.ts'
import { openHouse, type House, type Stranger } from './stranger.ts'

const CASES = [...ARRIVALS, ...IN_BOTH, ...ONLY_IN_31, ...ONLY_IN_311, ...ONLY_IN_5]

/** How many connections are tried at the same time. */
const AT_ONCE = 16

describe('however the bytes come', function () {
  this.timeout(30_000)
  let house: House

  before(async () => (house = await openHouse()))
  after(() => house.close())

  /** Tries every case, and expects of each what it expects. */
  async function tryAll(
    cases: readonly Case[],
    send: (stranger: Stranger, bytes: Buffer) => Promise<void>,
  ): Promise<void> {
    const left = cases.map((one, i) => [one, `stranger${i}`] as const)
    async function tryNext(): Promise<void> {
      for (let next = left.pop(); next; next = left.pop()) {
        const [one, clientId] = next
        const stranger = await house.connect()
        // Each under its own name, since they are there at the same time.
        const connect = one.version === undefined ? [] : [connectAs(one.version, clientId)]
        await send(stranger, Buffer.concat([...connect, one.bytes]))
        const [preface, answer] = splitAnswer(
          one.refused === undefined ? await answered(stranger, one) : await stranger.untilClosed(),
          one.version !== undefined,
        )
        const isAccepted = one.answer === 'accepted'
        const expected = isAccepted ? answer.toString('hex') : one.answer.toString('hex')
        expect(answer.toString('hex'), `${one.version} ${one.title}`).to.equal(expected)
        if (preface) expect([preface[0], preface[3]]).to.deep.equal([0x20, 0])
        stranger.cut()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, tryNext))
  }

  async function answered(stranger: Stranger, { version, answer }: Case): Promise<Buffer> {
    if (version !== undefined) {
      const connack = await stranger.untilReceived(4)
      const length = answer === 'accepted' ? 0 : answer.length
      await stranger.untilReceived(2 + (connack[1] ?? 0) + length)
    }
    return stranger.untilPingAnswered()
  }

  it('a packet is the same in one chunk with its CONNECT', () =>
    tryAll(CASES, (stranger, bytes) => stranger.send(bytes)))

  it('a packet is the same byte by byte', () =>
    tryAll(
      CASES.filter(({ bytes }) => bytes.length < 1000),
      (stranger, bytes) => stranger.send(bytes, 1),
    ))

  it('a packet is the same in pieces of any size', async () => {
    const cases = CASES.filter(({ bytes }, i) => bytes.length < 100 && i % 7 === 0)
    for (let size = 2; size < 60; size += 3) {
      await tryAll(cases, (stranger, bytes) => stranger.send(bytes, size))
    }
  })
})

function connectAs(version: 3 | 4 | 5, clientId: string): Buffer {
  return connectOf(version, { payload: [Buffer.from([0, clientId.length]), Buffer.from(clientId)] })
}

/** The CONNACK, if there was a CONNECT before, and the rest. */
function splitAnswer(all: Buffer, hasPreface: boolean): [Buffer | undefined, Buffer] {
  if (!hasPreface) return [undefined, all]
  const end = 2 + (all[1] ?? 0)
  return [all.subarray(0, end), all.subarray(end)]
}
