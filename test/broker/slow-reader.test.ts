import { expect } from 'chai'
import { SlowReaderError } from '../../broker/fanout/slow-readers.ts'
import type { PeerOptions } from '../helpers/mqtt-peer.ts'
import { startTcpBroker } from '../helpers/tcp-broker.ts'
import { onTeardown } from '../helpers/teardown.ts'

const CHUNK = Buffer.alloc(16 * 1024)
const MAX_QUEUED = 2 * 1024 * 1024

/** What a machine with others at work may add to the tenth of a second that is the aim, in milliseconds. */
const GENEROUS_MS = 1000

describe('a reader that stops reading', () => {
  const kinds: readonly (readonly [string, PeerOptions, 0 | 1])[] = [
    ['3.1.1 at QoS 0', { version: 4 }, 0],
    ['3.1.1 at QoS 1', { version: 4 }, 1],
    ['5 at QoS 0', { version: 5 }, 0],
    ['5 at QoS 1', { version: 5, properties: { receiveMaximum: 65_535 } }, 1],
  ]
  for (const [kind, options, qos] of kinds) {
    it(`is cut at the bound, and nobody waits for it: ${kind}`, async function () {
      this.timeout(30_000)
      const { broker, connect } = await startTcpBroker({
        maxQueuedBytes: MAX_QUEUED,
        limits: { maxMessagesPerSecond: 100_000 },
      })
      const [stuck, reader, publisher] = await Promise.all([
        connect({ ...options, clientId: 'stuck' }),
        connect(),
        connect(),
      ])
      await stuck.subscribe([{ topic: 'n', qos }])
      await reader.subscribe([{ topic: 'n', qos }])
      reader.acknowledge()
      stuck.stream.pause()

      let worstMs = 0
      let sent = 0
      while (broker.metrics()['connections'] === 3) {
        reader.messages.length = 0
        const sentAt = performance.now()
        publisher.publish({ topic: 'n', qos, payload: CHUNK, ...(qos && { messageId: 1 }) })
        await reader.first(1)
        worstMs = Math.max(worstMs, performance.now() - sentAt)
        sent += CHUNK.length
      }
      console.log(
        `      cut after ${Math.round(sent / 1024)} KiB; the worst delay was ${worstMs.toFixed(1)} ms`,
      )
      expect(worstMs).to.be.lessThan(GENEROUS_MS)
      // Beside the bound only what the two sockets hold.
      expect(sent).to.be.within(MAX_QUEUED, MAX_QUEUED + 16 * 1024 * 1024)
    })
  }

  it('may ask on and on, and no listener is left over', async function () {
    this.timeout(30_000)
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    onTeardown(() => process.off('warning', note))
    const { broker, connect } = await startTcpBroker({
      maxQueuedBytes: MAX_QUEUED,
      limits: { maxMessagesPerSecond: 100_000 },
    })
    const [stuck, publisher] = await Promise.all([connect(), connect()])
    await stuck.subscribe([{ topic: 'n' }])
    stuck.stream.pause()
    while (broker.metrics()['connections'] === 2) {
      publisher.publish({ topic: 'n', payload: Buffer.alloc(4096) })
      stuck.send({ cmd: 'pingreq' })
      await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    }
    expect(warnings).to.deep.equal([])
  })

  it('is an error with a code of its own', () => {
    expect(new SlowReaderError(5)).to.include({ code: 'SLOW_READER' })
  })
})
