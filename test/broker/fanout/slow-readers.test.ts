import { once } from 'node:events'
import { expect } from 'chai'
import { SlowReaderError } from '../../../broker/fanout/slow-readers.ts'

import { clientOf, PACKET, startBroker } from './stage.ts'

describe('a reader that does not read', () => {
  const CHUNK = Buffer.alloc(16 * 1024)

  it('is cut at the bound, and delays nobody', async () => {
    const { aedes, connect } = await startBroker({ maxQueuedBytes: 1024 * 1024 })
    const errors: unknown[] = []
    aedes.on('clientError', (_client, error) => errors.push(error))
    const [stuck, reader, publisher] = await Promise.all([
      connect({ version: 5 }),
      connect(),
      connect(),
    ])
    await stuck.subscribe([{ topic: '#' }])
    await reader.subscribe([{ topic: '#' }])
    let reasonCode: number | null | undefined
    const gone = new Promise<void>((resolve) => {
      aedes.on('clientDisconnect', (client) => {
        reasonCode = client.disconnectReasonCode
        resolve()
      })
    })
    stuck.stream.pause()

    let isCut = false
    void gone.then(() => (isCut = true))
    let worstMs = 0
    for (let i = 0; !isCut; i++) {
      const sentAt = performance.now()
      publisher.publish({ topic: `n/${i}`, payload: CHUNK })
      await reader.until(`n/${i}`)
      worstMs = Math.max(worstMs, performance.now() - sentAt)
      reader.messages.length = 0
    }
    await gone
    expect(errors.filter((error) => error instanceof SlowReaderError)).to.have.length(1)
    expect(reasonCode).to.equal(0x97)
    expect(worstMs).to.be.lessThan(1000)
  })

  it('may stay when the owner says so, without what it could not take', async () => {
    const slow: number[] = []
    const onSlowReader = (_client: unknown, queuedBytes: number): void =>
      void slow.push(queuedBytes)
    const { aedes, connect } = await startBroker({ maxQueuedBytes: 256 * 1024, onSlowReader })
    const [stuck, publisher] = await Promise.all([connect({ clientId: 'stuck' }), connect()])
    await stuck.subscribe([{ topic: '#' }])
    stuck.stream.pause()
    while (slow.length < 100) {
      publisher.publish({ topic: 'n', payload: CHUNK })
      await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    }
    const { conn } = clientOf(aedes, 'stuck')
    expect(conn.writableLength).to.be.lessThan(512 * 1024)
    stuck.stream.resume()
    await once(conn, 'drain')
    publisher.publish({ topic: 'end' })
    await stuck.until('end')
  })

  it('holds its publishers back a little when much is waiting for it', async () => {
    const { aedes, connect } = await startBroker()
    const stuck = await connect({ clientId: 'stuck' })
    await stuck.subscribe([{ topic: 'n' }])
    stuck.stream.pause()
    const { conn } = clientOf(aedes, 'stuck')
    /** Whether a publisher on a topic is called back before the event loop has gone round. */
    const isAtOnce = async (topic: string): Promise<boolean> => {
      let isCalled = false
      const called = new Promise<void>((resolve) => {
        aedes.publish({ ...PACKET, topic, payload: CHUNK }, () => {
          isCalled = true
          resolve()
        })
      })
      await new Promise((resolve) => setImmediate(resolve))
      const isSoon = isCalled
      await called
      return isSoon
    }
    expect(await isAtOnce('n')).to.equal(true)
    while (conn.writableLength < 2 * 1024 * 1024) await isAtOnce('n')
    expect(await isAtOnce('n')).to.equal(false)
    expect(await isAtOnce('of nobody')).to.equal(true)
  })

  it('lets the answers to a publisher keep their order', async () => {
    const { aedes, connect } = await startBroker()
    const stuck = await connect({ clientId: 'stuck' })
    await stuck.subscribe([{ topic: 'n' }])
    stuck.stream.pause()
    const { conn } = clientOf(aedes, 'stuck')
    const publisher = await connect()
    while (conn.writableLength < 2 * 1024 * 1024) {
      publisher.publish({ topic: 'n', payload: CHUNK })
      await publisher.request({ cmd: 'pingreq' }, 'pingresp')
    }
    // The first one waits for the stuck reader a little, the second has none.
    publisher.stream.cork()
    publisher.publish({ topic: 'n', qos: 2, messageId: 71 })
    publisher.publish({ topic: 'of nobody', qos: 2, messageId: 72 })
    publisher.stream.uncork()
    await publisher.request(
      {
        cmd: 'publish',
        topic: 'of nobody',
        payload: '',
        qos: 2,
        messageId: 73,
        retain: false,
        dup: false,
      },
      'pubrec',
    )
    const answers = publisher.packets.filter(({ cmd }) => cmd === 'pubrec')
    expect(answers.slice(0, 2).map(({ messageId }) => messageId)).to.deep.equal([71, 72])
  })

  it('is not cut for one burst that it can take', async () => {
    const { connect } = await startBroker()
    const [reader, publisher] = await Promise.all([connect(), connect()])
    await reader.subscribe([{ topic: '#' }])
    const count = (64 * 1024 * 1024) / CHUNK.length
    for (let i = 0; i < count; i++) publisher.publish({ topic: 'n', payload: CHUNK })
    publisher.publish({ topic: 'end' })
    expect((await reader.until('end')).length).to.equal(count)
  })
})
