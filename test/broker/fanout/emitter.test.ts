import { expect } from 'chai'
import type { EmittedPacket } from '../../../broker/aedes-internals.ts'
import { createFanoutEmitter } from '../../../broker/fanout/emitter.ts'
import { setVersion, versionOf } from '../../../broker/retained/version.ts'

import { PACKET } from './stage.ts'

describe('the emitter', () => {
  const packet = { ...PACKET, topic: 'news' } as EmittedPacket

  it('refuses what is emitted after it was closed', async () => {
    const fanout = createFanoutEmitter()
    await new Promise<void>((done) => void fanout.close(done))
    const error = await new Promise<Error | undefined>((done) => void fanout.emit(packet, done))
    expect(error?.message).to.equal('the fan-out is closed')
  })

  it('lets a publisher wait for its own messages only', async () => {
    const fanout = createFanoutEmitter({ deliveriesPerTurn: 3 })
    const order: (string | undefined)[] = []
    fanout.on('news', ({ clientId }) => void order.push(clientId))
    for (let i = 0; i < 100; i++) fanout.emit({ ...packet, clientId: 'busy' })
    await new Promise<void>(
      (done) => void fanout.emit({ ...packet, clientId: 'quiet' }, () => done()),
    )
    expect(order).to.include('quiet')
    expect(order.indexOf('quiet')).to.be.lessThan(10)
  })

  it('lets versions of several publishers stay in the order in which they came', async () => {
    const fanout = createFanoutEmitter({ deliveriesPerTurn: 3 })
    const order: (number | undefined)[] = []
    fanout.on('news', (message) => void order.push(versionOf(message)))
    const versions = Array.from({ length: 30 }, (_, i) => i)
    const published = versions.map((version) => {
      // One bridge has published much, then the other one comes, then both.
      const message = { ...packet, clientId: version < 20 || version % 2 ? 'busy' : 'quiet' }
      setVersion(message, version)
      return new Promise<void>((done) => void fanout.emit(message, () => done()))
    })
    await Promise.all(published)
    expect(order).to.deep.equal(versions)
  })

  it('forgets a listener at once', () => {
    const fanout = createFanoutEmitter()
    let heard = 0
    const listener = (): void => void heard++
    fanout.on('news', listener).emit(packet)
    fanout.removeListener('news', listener).emit(packet)
    expect(heard).to.equal(1)
  })

  it('calls the publisher back in a later turn, in which Aedes parses nothing', async () => {
    const fanout = createFanoutEmitter()
    let isCalled = false
    const called = new Promise<void>((resolve) => {
      fanout.emit(packet, () => {
        isCalled = true
        resolve()
      })
    })
    expect(isCalled).to.equal(false)
    await called
  })
})
